"""`GET /sessions/{id}/stream`: the log again, from any place, for readers of either version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.ide import WRITE, Ide, events_in, kinds
from tests.openai_stub import OpenAIStub
from tests.running import talking


@pytest.fixture
def client(db_url: str, stub: OpenAIStub) -> Iterator[httpx.Client]:
    with talking(db_url, stub) as client:
        yield client


def replay(ide: Ide, headers: dict[str, str] | None = None, **params: Any) -> list[tuple[int, dict[str, Any]]]:
    """The log as (number, chunk), to its end."""
    response = ide.client.get(f"{ide.path}/stream", params={"follow": "false", **params}, headers=headers)
    assert response.status_code == 200, response.text
    return events_in(response.text)


def without_deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [c for c in chunks if c["type"] != "assistant_message" or c["is_final"]]


def test_the_log_is_what_was_seen(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    stub.script([{"text": "Some words first.", "tool": "write_file", "args": WRITE, "id": "c1"}, {"text": "All done."}])
    seen = ide.say("Write")
    seen += ide.decide("c1", "approve")
    seen += ide.result("c1", "ok")
    log = replay(ide)
    assert without_deltas([chunk for _, chunk in log]) == without_deltas(seen)
    for side in (seen, [chunk for _, chunk in log]):
        tokens = [c["token"] for c in side if c["type"] == "assistant_message" and not c["is_final"]]
        assert "".join(tokens) == "Some words first.All done."
    numbers = [number for number, _ in log]
    assert numbers == sorted(set(numbers))
    middle = numbers[len(numbers) // 2]
    rest = [item for item in log if item[0] > middle]
    assert replay(ide, after=middle) == rest
    assert replay(ide, {"Last-Event-ID": str(middle)}) == rest
    assert replay(ide, {"Last-Event-ID": str(middle)}, after=0) == rest, "the header wins"
    assert replay(ide, {"Last-Event-ID": ""}, after=middle) == rest
    assert replay(ide, after=numbers[-1]) == replay(ide, after=10**12) == []
    old = [chunk for _, chunk in replay(ide, protocol_version=1)]
    assert kinds(old) == ["session_info", "agent_switched", "tool_call", "status", "assistant_message"]
    assert old[2]["metadata"] is None
    assert old[-1]["token"] == old[-1]["content"] == "All done."


def test_following_goes_on_across_turns(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    stub.script([{"text": "One."}, {"text": "Two."}])
    ide.say("First", agent_type="ask")
    with ide.client.stream("GET", f"{ide.path}/stream") as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = stream.iter_lines()
        outcomes: list[str] = []

        def read_to_done() -> None:
            for line in lines:
                chunk = json.loads(line[6:]) if line.startswith("data: ") else {}
                if chunk.get("type") == "done":
                    outcomes.append(chunk["metadata"]["outcome"])
                    return

        read_to_done()
        other = Ide(httpx.Client(base_url=client.base_url, headers=client.headers, trust_env=False), 2)
        other.session_id = ide.session_id
        other.say("Second")
        read_to_done()
        other.client.close()
    assert outcomes == ["completed", "completed"]


def test_cancel(client: httpx.Client, stub: OpenAIStub) -> None:
    ide = Ide(client)
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}, {"text": "Next."}])
    ide.say("Write", agent_type="coder")
    told = client.post(f"{ide.path}/cancel").json()
    assert told["run_id"]
    assert told | {"run_id": ""} == {
        "session_id": ide.session_id,
        "cancelled": True,
        "run_id": "",
        "settled_calls": ["c1"],
    }
    assert client.post(f"{ide.path}/cancel").json() == {
        "session_id": ide.session_id,
        "cancelled": False,
        "run_id": None,
        "settled_calls": [],
    }
    log = [chunk for _, chunk in replay(ide)][-2:]
    assert kinds(log) == ["error", "done"]
    assert (log[0]["content"], log[0]["metadata"]["code"]) == ("The run was cancelled.", "cancelled")
    assert log[1]["metadata"]["outcome"] == "cancelled"
    assert ide.result("c1", "late")[0]["metadata"]["state"] == "cancelled"
    assert ide.say("And now?")[-1]["metadata"]["outcome"] == "completed"
    assert "The user cancelled the run" in ide.tool_messages()["c1"]
    assert stub.violations == []
