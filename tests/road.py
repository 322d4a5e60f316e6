"""The road of one message, traced: the files in which a function body runs for a plain answer, and its SQL."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

ROOT = Path(__file__).parent.parent
TRACED_TURNS = 5
OUTSIDE = (".venv", "tests", "benchmarks")
STATEMENTS = {("core.py", "execute"), ("cursor_async.py", "execute"), ("_connection_base.py", "_exec_command")}
"""Where aiosqlite and psycopg send one statement."""
BACKGROUND = ("runs/keep/", "runs/drive/recovery.py")
"""What the process does on its own, whether or not a message comes."""


@dataclass(frozen=True)
class Road:
    """What one message visited."""

    files: list[str]
    """Paths below the repository, sorted."""
    statements: int
    """SQL statements, BEGIN and COMMIT included."""


def trace_plain_answer(db_url: str) -> Road:
    """Play messages to a plain answer, and trace all but the first.

    The statements are the least of the traced turns: on a slow machine the log is written in more batches, and a
    heartbeat may fall into a turn.
    """
    seen: set[str] = set()
    statements: list[FrameType] = []
    counts: list[int] = []
    is_watching = False

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if not is_watching or event != "call" or code.co_name == "<module>":
            return
        seen.add(code.co_filename)
        # A coroutine that goes on is a call too, in the same frame; the list keeps the frames, so none is reused.
        if (Path(code.co_filename).name, code.co_name) in STATEMENTS and not any(
            frame is known for known in statements
        ):
            statements.append(frame)

    threading.setprofile(watch)
    try:
        with (
            OpenAIStub() as stub,
            running_server(db_url=db_url, llm_model="scripted", llm_proxy_url=stub.url) as url,
            api_client(url) as client,
        ):
            stub.script([{"text": "Hello."} for _ in range(1 + TRACED_TURNS)])
            ide = Ide(client)
            ide.say("Hello", agent_type="ask")
            is_watching = True
            for _ in range(TRACED_TURNS):
                statements.clear()
                ide.say("Hello again")
                counts.append(len(statements))
            is_watching = False
    finally:
        threading.setprofile(None)
    paths = (Path(name) for name in seen if name.startswith(str(ROOT)) and name.endswith(".py"))
    inside = (path.relative_to(ROOT) for path in paths)
    files = (path.as_posix() for path in inside if path.parts[0] not in OUTSIDE)
    return Road(sorted(path for path in files if not path.startswith(BACKGROUND)), min(counts))


if __name__ == "__main__":
    road = trace_plain_answer(sys.argv[1])
    print("\n".join([*road.files, f"{len(road.files)} files, {road.statements} statements"]))
