"""Record the pictures of the terminal client from real runs in tmux: `uv run python docs/images/record_chat.py`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.client.terminal.tmux import Window, window

FOLDER = Path(__file__).parent
EXAMPLE = FOLDER.parents[1] / "examples" / "greeter"
MESSAGE = (
    'Read greeter.py, then create a file NOTES.md with content "# Notes on the greeter", '
    'then replace "Hello" with "Good morning" in greeter.py, then run `wc -l greeter.py NOTES.md`'
)
REPLACE = 'replace "Hello" with "Good morning" in greeter.py'
WIDTH, HEIGHT = 92, 70


@contextmanager
def chat(*options: str) -> Iterator[Window]:
    """A chat in a copy of the example, with a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder, "greeter")
        shutil.copytree(EXAMPLE, workspace, ignore=shutil.ignore_patterns("names.txt", ".agent-runtime"))
        home = {"HOME": folder} | {f"XDG_{name}_HOME": f"{folder}/{name}" for name in ("CONFIG", "DATA", "STATE")}
        colours = {"COLORTERM": "truecolor", "TERM": "xterm-256color", "PATH": os.environ["PATH"]}
        with window(
            "chat", "-w", str(workspace), *options, columns=WIDTH, rows=HEIGHT, environment=home | colours
        ) as w:
            yield w


def draw(terminal: Window, picture: Path) -> None:
    """Write what the window shows as an SVG; the path of the temporary folder is left out."""
    shown = terminal.screen(coloured=True).rstrip()
    lines = [line.split("workspace ")[0] if "workspace /" in line else line for line in shown.split("\n")]
    console = Console(record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=StringIO())
    console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)
    console.save_svg(str(picture), title="agent-runtime chat", unique_id=picture.stem)


def record(picture: Path = FOLDER / "chat.svg") -> str:
    """Draw the task of the README; gives its outcome."""
    with chat("--approve", "all", "--message", MESSAGE) as terminal:
        screen = terminal.wait_for("session ")
        draw(terminal, picture)
    return "completed" if "─ Done" in screen else screen


def record_decision(decision: Path = FOLDER / "decision.svg", undone: Path = FOLDER / "undo.svg") -> None:
    """Draw the question about a write, and its undo."""
    with chat() as terminal:
        terminal.wait_for("You:")
        terminal.type(REPLACE, "Enter")
        terminal.wait_for("Decision")
        draw(terminal, decision)
        terminal.type("a", "Enter")
        terminal.wait_for("You:", 2)
        terminal.type("/undo", "Enter")
        terminal.wait_for("put back: greeter.py")
        terminal.wait_for("You:", 3)
        draw(terminal, undone)


if __name__ == "__main__":
    print(record())
    record_decision()
