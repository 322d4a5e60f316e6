"""Record docs/images/chat.svg from a real run: `uv run python docs/images/record_chat.py`."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from client.decider import ApproveAll
from client.own_server import own_server, sqlite_url
from client.session import Session
from client.terminal.display import Display
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace

PICTURE = Path(__file__).with_name("chat.svg")
EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter"
MESSAGE = (
    'Read greeter.py, then create a file NOTES.md with content "# Notes on the greeter", '
    'then replace "Hello" with "Good morning" in greeter.py, then run `wc -l greeter.py NOTES.md`'
)
WIDTH = 92


def record(picture: Path = PICTURE) -> str:
    """Run the task of the README on a server of its own and draw what the terminal showed; gives the outcome."""
    console = Console(record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=StringIO())
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder, "greeter")
        shutil.copytree(EXAMPLE, workspace, ignore=shutil.ignore_patterns("names.txt", ".agent-runtime"))
        with own_server(sqlite_url(Path(folder, "chat.db"))) as address:
            session = Session(address.url, address.key, TimeLimit(60), session_id="readme")
            with closing(session):
                console.print(Text("You: ", "bold green") + Text(MESSAGE))
                opened = Workspace(workspace)
                loop = TurnLoop(session, ApproveAll(), Display(console, opened), WorkspaceExecutor(opened))
                outcome = loop.run_task(MESSAGE)
    console.save_svg(str(picture), title="agent-runtime chat", unique_id="chat")
    return outcome


if __name__ == "__main__":
    print(record())
