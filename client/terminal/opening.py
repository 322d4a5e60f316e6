"""The first line of a chat: checked and shown before the rest of the client is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

# Light on purpose: the line must be on the screen at once (docs/terminal-client.md).
from errors import ConfigurationError


def open_chat(workspace: Path, message: str | None, *, as_json: bool) -> None:
    """Show what starts and where; raises ConfigurationError for options that cannot lead to a chat."""
    try:
        root = workspace.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unusable(workspace) from error
    if not root.is_dir():
        raise _unusable(workspace)
    if message is None and not sys.stdin.isatty():
        raise ConfigurationError("There is no terminal to chat in: give one task with --message.")
    if message is None and as_json:
        raise ConfigurationError("--json prints one task: give it with --message.")
    if not as_json:
        typer.echo(f"{typer.style('CodeLab agent runtime', bold=True)}  workspace {_printable(str(root))}")
        sys.stdout.flush()


def _unusable(workspace: Path) -> ConfigurationError:
    return ConfigurationError(f"The workspace '{workspace}' is not a folder that can be used.")


def _printable(text: str) -> str:
    """Write out what a terminal would obey or hide."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
