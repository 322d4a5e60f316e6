"""LangGraph Studio: its server loads our graph, and a thread runs with the scripted model over an interrupt."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Start `langgraph dev` on the repository's langgraph.json; its own state goes to a folder of the test."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "langgraph.json").write_text((ROOT / "langgraph.json").read_text(encoding="utf-8"), encoding="utf-8")
    port = free_port()
    command = [str(Path(sys.executable).parent / "langgraph"), "dev", "--no-browser", "--no-reload"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGSMITH_TRACING": "false",
    }
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                try:
                    if client.get("/ok").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def run(client: httpx.Client, thread_id: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(f"/threads/{thread_id}/runs/wait", json={"assistant_id": "agent", **body})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.timeout(120)
def test_a_thread_runs_over_an_interrupt_and_its_resume(studio: httpx.Client) -> None:
    thread_id = studio.post("/threads", json={}).json()["thread_id"]
    request = {"messages": [{"role": "user", "content": 'Create a file notes.txt with content "hello"'}]}

    paused = run(studio, thread_id, {"input": request})
    assert "__interrupt__" in paused, json.dumps(paused)[:2000]
    question = paused["__interrupt__"][0]
    assert question["value"]["kind"] == "approval"
    assert question["value"]["tool_name"] == "write_file"
    assert question["value"]["arguments"] == {"path": "notes.txt", "content": "hello"}

    answer = {question["id"]: {"decision": "approve", "result": {"success": True, "bytes_written": 5}}}
    done = run(studio, thread_id, {"command": {"resume": answer}})
    assert "__interrupt__" not in done
    kinds = [(message["type"], message.get("name")) for message in done["messages"]]
    assert ("tool", "write_file") in kinds
    state = studio.get(f"/threads/{thread_id}/state").json()
    assert state["next"] == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("answer", ["no", False, {"decision": "Reject"}, {}], ids=repr)
def test_a_resume_that_does_not_approve_rejects_the_call(studio: httpx.Client, answer: Any) -> None:
    thread_id = studio.post("/threads", json={}).json()["thread_id"]
    request = {"messages": [{"role": "user", "content": 'Create a file notes.txt with content "hello"'}]}
    question = run(studio, thread_id, {"input": request})["__interrupt__"][0]
    done = run(studio, thread_id, {"command": {"resume": {question["id"]: answer}}})
    told = [message["content"] for message in done["messages"] if message.get("name") == "write_file"]
    assert [text[:27] for text in told] == ["The user rejected this call"]


@pytest.mark.timeout(120)
def test_each_agent_can_be_chosen_and_schemas_load(studio: httpx.Client) -> None:
    thread_id = studio.post("/threads", json={}).json()["thread_id"]
    request = {"messages": [{"role": "user", "content": "What is a closure?"}], "agent": "ask"}
    answered = run(studio, thread_id, {"input": request})
    assert answered["agent"] == "ask"
    assert answered["messages"][-1]["type"] == "ai"
    assistant = studio.post("/assistants/search", json={}).json()[0]["assistant_id"]
    schemas = studio.get(f"/assistants/{assistant}/schemas")
    assert schemas.status_code == 200, schemas.text
    graph = studio.get(f"/assistants/{assistant}/graph").json()
    assert {"router", "specialist", "approval", "ide_call", "question"} <= {node["id"] for node in graph["nodes"]}
