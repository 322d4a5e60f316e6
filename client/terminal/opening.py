"""The first line of a chat, on the screen before the command line is parsed and the client imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Light on purpose, and without the library of the command line: its import takes longer than a person notices.
from errors import ConfigurationError


def announce(arguments: Sequence[str]) -> None:
    """Show what starts and where, for the arguments of a `chat` that can start; `check_opening` refuses the others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-w", "--workspace", type=Path, default=Path())
    parser.add_argument("-m", "--message")
    for option in ("--json", "--help"):
        parser.add_argument(option, action="store_true")
    try:
        chosen, _ = parser.parse_known_args(arguments)
        root = check_opening(chosen.workspace, chosen.message, as_json=chosen.json)
    except (argparse.ArgumentError, ConfigurationError):
        return  # the command says what is wrong
    if not chosen.json and not chosen.help:
        title = "CodeLab agent runtime"
        print(f"\x1b[1m{title}\x1b[0m" if sys.stdout.isatty() else title, f" workspace {_printable(str(root))}")
        sys.stdout.flush()


def check_opening(workspace: Path, message: str | None, *, as_json: bool) -> Path:
    """Return the folder of a chat; raises ConfigurationError for options that cannot lead to one."""
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
    return root


def _unusable(workspace: Path) -> ConfigurationError:
    return ConfigurationError(f"The workspace '{workspace}' is not a folder that can be used.")


def _printable(text: str) -> str:
    """Write out what a terminal would obey or hide."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
