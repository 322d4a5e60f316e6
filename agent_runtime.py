"""The entry point of the `agent-runtime` command: checks where the root modules come from before importing any."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

# Only the standard library at the top: any other import could already be a module of another folder.

ROOT_MODULES = (
    "agents", "api", "cli", "client", "console", "context", "errors", "evaluation", "graph", "json_text", "llm", "logs",
    "nodes", "policy", "prompts", "routing", "runs", "server", "serving", "settings", "state", "storage",
    "telemetry", "tools", "wire",
)  # fmt: skip
"""Our top-level modules and packages. Their names are ordinary words, so a file on the path can shadow one."""


def foreign_module() -> str | None:
    """Describe the first root module that Python would not take from this file's folder; None when there is none."""
    home = Path(__file__).resolve().parent
    for name in ROOT_MODULES:
        found = _folder(find_spec(name))
        if found is None:
            return f"The module '{name}' is missing from {home}: install agent-runtime again."
        if found.parent != home:
            return (
                f"Python takes the module '{name}' from {found} and not from {home}: rename or remove it, "
                "or take its folder off PYTHONPATH, or start in another folder."
            )
    return None


def _folder(spec: ModuleSpec | None) -> Path | None:
    """Return the file of a module or the folder of a package."""
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin or "").resolve()


def main() -> None:
    """Check where the root modules come from, then run the command; a shadowed one ends with one sentence, status 2."""
    problem = foreign_module()
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
        sys.exit(2)
    _open_missing_streams()
    # A terminal that cannot show a character must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno is None:
            raise
        _end(error)


def _run() -> None:
    if sys.argv[1:2] == ["chat"]:
        from client.terminal.opening import announce

        announce(sys.argv[2:])
    from cli import main as run

    run()


def _open_missing_streams() -> None:
    """Open what was closed by the caller: another file would get its number, and be written as the output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _end(error: OSError) -> NoReturn:
    """End with one sentence on what the system refused; a reader of the output that has left needs none."""
    # What could not be written must not be tried again when the process ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        sys.exit(1)
    subject = f"{error.filename}: " if error.filename else ""
    sys.stderr.write(f"{subject}{error.strerror}.\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
