"""The settings of the model server reach its requests, and what its replies needed is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ide import Ide, answer_of, error_of, of_type, shown
from tests.openai_stub import OpenAIStub
from tests.running import talking

ROOT = Path(__file__).parents[2]
TEXT_CALL = '{"name": "read_file", "arguments": {"path": "a.py"}}'
READ = {"tool": "read_file", "args": {"path": "b.py"}, "id": "r1"}


@pytest.fixture
def db_url(sqlite_template: Path, tmp_path: Path) -> str:
    """What is tested here lies before the database: one kind is enough."""
    (tmp_path / "test.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path / 'test.db'}"


def test_headers_and_further_fields_go_out_with_every_request(db_url: str, stub: OpenAIStub) -> None:
    settings: dict[str, Any] = {
        "llm_api_key": "k",
        "llm_headers": {"X-Team": "blue", "authorization": "Token own"},
        "llm_extra_body": {"reasoning_effort": "low", "model": "never", "stream": False},
        "llm_max_tokens": 77,
        "llm_temperature": 0.5,
    }
    stub.script([{"text": "Hello."}])
    with talking(db_url, stub, **settings) as client:
        assert answer_of(Ide(client).say("Hello")) == "Hello."
    classifier, agent = stub.requests
    for request in (classifier, agent):
        assert request["headers"]["x-team"] == "blue"
        assert request["headers"]["authorization"] == "Token own"
        assert request["body"]["reasoning_effort"] == "low"
        assert (request["body"]["model"], request["body"]["stream"]) == ("scripted", True)
        assert request["body"]["max_tokens"] == 77
    assert (classifier["body"]["temperature"], agent["body"]["temperature"]) == (0.3, 0.5)


def test_headers_come_from_the_environment_as_json(
    monkeypatch: pytest.MonkeyPatch, db_url: str, stub: OpenAIStub
) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LLM_HEADERS", '{"X-Team": "green"}')
    monkeypatch.setenv("AGENT_RUNTIME__LLM_EXTRA_BODY", '{"top_p": 0.9, "nested": {"a": [1, null]}}')
    stub.script([{"text": "Hello."}])
    with talking(db_url, stub) as client:
        Ide(client).say("Hello", agent_type="ask")
    assert stub.requests[-1]["headers"]["x-team"] == "green"
    assert stub.last_agent_request["nested"] == {"a": [1, None]}


@pytest.mark.parametrize("reply", [{"text": "Half an", "hang": True}, {"text": "Never", "silent_s": 20}])
def test_silence_ends_an_attempt_before_its_time_as_a_whole(
    db_url: str, stub: OpenAIStub, reply: dict[str, Any]
) -> None:
    stub.script([reply, {"text": "Here again."}])
    with talking(db_url, stub, llm_idle_timeout_seconds=0.4, llm_timeout_seconds=300) as client:
        ide = Ide(client)
        assert error_of(ide.say("Hello", agent_type="ask")) == "llm_timeout"
        assert answer_of(ide.say("Hello?")) == "Here again."


def test_a_slow_reply_that_goes_on_is_no_silence(db_url: str, stub: OpenAIStub) -> None:
    text = "word " * 30
    stub.script([{"text": text, "delay_s": 0.1}])
    with talking(db_url, stub, llm_idle_timeout_seconds=1.5, llm_timeout_seconds=300) as client:
        assert shown(Ide(client).say("Hello", agent_type="ask")).split() == text.split()


def test_repairs_changes_and_cached_tokens_are_counted_by_model(db_url: str, stub: OpenAIStub) -> None:
    cached: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
    cached |= {"prompt_tokens_details": {"cached_tokens": 64}}
    refusal = {
        "status": 400,
        "body": {"error": {"message": "Unknown parameter: stream_options", "param": "stream_options"}},
    }
    prefixed = {
        "tool": "functions.read_file",
        "args": {"path": "a.py", "start_line": "3", "end_line": None},
        "id": "r1",
    }
    stub.script([refusal, prefixed, {"text": "Read.", "usage": cached}])
    with talking(db_url, stub) as client:
        ide = Ide(client)
        [call] = of_type(ide.say("Read", agent_type="coder"), "tool_call")
        assert (call["tool_name"], call["arguments"]) == ("read_file", {"path": "a.py", "start_line": 3})
        ide.result("r1")
        lines = client.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("agent_runtime_llm_adaptations{")]
    assert any('kind="change"' in line and "stream_options" in line and line.endswith(" 1.0") for line in counted), (
        counted
    )
    assert len([line for line in counted if 'kind="repair"' in line and 'model="scripted"' in line]) == 3, counted
    assert 'agent_runtime_llm_prompt_tokens{model="scripted",part="cached"} 64.0' in lines


@pytest.mark.parametrize("is_native", [True, False])
def test_whether_a_call_in_text_counts_is_known_after_a_restart(db_url: str, stub: OpenAIStub, is_native: bool) -> None:
    stub.script([READ if is_native else {"text": "Nothing to read."}, {"text": "Read."}, {"text": TEXT_CALL}])
    with talking(db_url, stub) as client:
        ide = Ide(client, session_id="s1")
        ide.say("Read b.py", agent_type="coder")
        if is_native:
            ide.result("r1")
        else:
            ide.say("Go on")
    with talking(db_url, stub) as client:
        chunks = Ide(client, session_id="s1").say("And a.py")
    if is_native:
        assert answer_of(chunks) == TEXT_CALL, "a model with native calls only quotes one"
    else:
        assert of_type(chunks, "tool_call")[0]["arguments"] == {"path": "a.py"}


PROBE = """
import asyncio, json, sys, time
import httpx
from server import create_app
from settings import Settings

async def main():
    app = create_app(Settings.load(db_url=sys.argv[1], llm_model="m", internal_api_key="k"))
    found = []
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            async def look():
                status = (await client.get("/health")).status_code
                found.append([status, "langchain_openai" in sys.modules])
                await asyncio.sleep(0.05)
            for _ in range(20):
                await look()
            await client.get("/agents", headers={"X-Internal-Auth": "k"})
            deadline = time.monotonic() + 60
            while not found[-1][1] and time.monotonic() < deadline:
                await look()
    print(json.dumps(found))

asyncio.run(main())
"""


def test_the_first_request_loads_the_model_client_in_the_background(db_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    command = [sys.executable, "-c", PROBE, db_url]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers[:20] == [[200, False]] * 20, "a server that nobody uses pays for no client"
    assert answers[-1] == [200, True], "the client was imported without a first turn"
    assert {status for status, _ in answers} == {200}
