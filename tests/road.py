"""The road of one message, traced: the files in which a function body runs for a plain answer, and its SQL."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tests.ide import Ide, of_type
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

ROOT = Path(__file__).parent.parent
TRACED_TURNS = 5
OUTSIDE = (".venv", "tests", "benchmarks")
STATEMENTS = {("core.py", "execute"), ("cursor_async.py", "execute"), ("_connection_base.py", "_exec_command")}
"""Where aiosqlite and psycopg send one statement."""
BACKGROUND = tuple(str(ROOT / part) for part in ("runs/keep/", "runs/webhooks/", "runs/drive/recovery.py"))
"""What the process does on its own, whether or not a message comes: heartbeats, deliveries, take-overs."""


@dataclass(frozen=True)
class Road:
    """What one message visited."""

    files: list[str]
    """Paths below the repository, sorted."""
    statements: int
    """SQL statements, BEGIN and COMMIT included."""


def trace_plain_answer(db_url: str) -> Road:
    """Play messages to a plain answer."""
    return _trace(db_url, [{"text": "Hello."}], lambda ide: ide.say("Hello again"))


def trace_tool_turn(db_url: str) -> Road:
    """Play messages that read a file before the answer: both requests together."""
    call = {"tool": "read_file", "args": {"path": "a.py"}}

    def turn(ide: Ide) -> None:
        [offered] = of_type(ide.say("Read a.py"), "tool_call")
        ide.result(offered["call_id"], {"content": "x = 1", "lines_read": 1})

    return _trace(db_url, [call, {"text": "Read."}], turn)


def _trace(db_url: str, replies: list[dict[str, Any]], turn: Callable[[Ide], object]) -> Road:
    """Play turns, and trace all but the first.

    The statements are the least of the traced turns: on a slow machine the log is written in more batches, and a
    heartbeat may fall into a turn.
    """
    seen: set[str] = set()
    statements: list[FrameType] = []
    counts: list[int] = []
    is_watching = False

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if not is_watching or event != "call" or code.co_name == "<module>" or _is_background(frame):
            return
        seen.add(code.co_filename)
        # A coroutine that goes on is a call too, in the same frame; the list keeps the frames, so none is reused.
        if (Path(code.co_filename).name, code.co_name) not in STATEMENTS:
            return
        if not any(frame is known for known in statements):
            statements.append(frame)

    threading.setprofile(watch)
    try:
        with (
            OpenAIStub() as stub,
            running_server(
                db_url=db_url, llm_model="scripted", llm_proxy_url=stub.url, rate_limit_per_minute=300
            ) as url,
            api_client(url) as client,
        ):
            stub.script([{"text": "Hello."}])
            client.get("/ready").raise_for_status()  # a request that loads the graph goes another way
            ide = Ide(client)
            ide.say("Hello", agent_type="ask")
            is_watching = True
            for number in range(TRACED_TURNS):
                stub.add(*({**reply, "id": f"c{number}"} if "tool" in reply else reply for reply in replies))
                statements.clear()
                turn(ide)
                counts.append(len(statements))
            is_watching = False
    finally:
        threading.setprofile(None)
    paths = (Path(name) for name in seen if name.startswith(str(ROOT)) and name.endswith(".py"))
    inside = (path.relative_to(ROOT) for path in paths)
    return Road(sorted(path.as_posix() for path in inside if path.parts[0] not in OUTSIDE), min(counts))


def _is_background(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(BACKGROUND):
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    road = trace_plain_answer(sys.argv[1])
    print("\n".join([*road.files, f"{len(road.files)} files, {road.statements} statements"]))
