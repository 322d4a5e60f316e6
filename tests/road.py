"""The road of one message, traced: the files of the project in which a function body runs for a plain answer."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tests.openai_stub import OpenAIStub
from tests.protocol.talk import Talk
from tests.running import api_client, running_server

ROOT = Path(__file__).parent.parent
OUTSIDE = (".venv", "tests", "benchmarks")


def trace_plain_answer(db_url: str) -> list[str]:
    """Play one message to a plain answer, twice, and give the files that the second one visits, sorted."""
    seen: set[str] = set()
    is_watching = False

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if is_watching and event == "call" and frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename)

    threading.setprofile(watch)
    try:
        with (
            OpenAIStub() as stub,
            running_server(db_url=db_url, llm_model="scripted", llm_proxy_url=stub.url) as url,
            api_client(url) as client,
        ):
            stub.script([{"text": "Hello."}, {"text": "Hello again."}])
            talk = Talk(client, 2)
            talk.say("Hello", agent_type="ask")
            is_watching = True
            talk.say("Hello again")
            is_watching = False
    finally:
        threading.setprofile(None)
    paths = (Path(name) for name in seen if name.startswith(str(ROOT)))
    inside = (path.relative_to(ROOT) for path in paths)
    return sorted(str(path) for path in inside if path.parts[0] not in OUTSIDE)


if __name__ == "__main__":
    print("\n".join(trace_plain_answer(sys.argv[1])))
