"""Limits of what one owner uses at once: refused with 429 or 503 and Retry-After, and free again afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.limits import MAX_KEYS, RateLimit
from api.responses import RETRY_AFTER_S
from runs.engine import Engine
from tests.ide import Ide, of_type
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_app


def say(client: httpx.Client, session: str) -> httpx.Response:
    message = {"type": "user_message", "content": "hi", "agent_type": "ask"}
    return client.post("/agent/message/stream", json={"session_id": session, "protocol_version": 2, "message": message})


@pytest.fixture
def released(stub: OpenAIStub) -> threading.Event:
    """Set it to let the model answer."""
    event = threading.Event()

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"text": "done"} if event.is_set() else {"text": "wait", "hang": True}

    stub.responder = answer
    return event


def settings(stub: OpenAIStub, tmp_path: Path, **more: Any) -> dict[str, Any]:
    model = {"llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0}
    return {"db_url": f"sqlite:///{tmp_path}/x.db", **model, **more}


def wait_for_runs(engine: Engine, number: int) -> None:
    for _ in range(600):
        if len(engine.tasks) == number:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{len(engine.tasks)} runs are running, not {number}")


def test_an_owner_has_so_many_runs_at_once(stub: OpenAIStub, tmp_path: Path, released: threading.Event) -> None:
    with running_app(**settings(stub, tmp_path, max_runs_per_owner=2)) as (app, url), ThreadPoolExecutor(8) as pool:
        ann, bob = api_client(url, **{"X-End-User": "ann"}), api_client(url, **{"X-End-User": "bob"})
        with ann, bob:
            running = [pool.submit(say, ann, f"a{n}") for n in range(2)]
            wait_for_runs(app.state.engine, 2)
            refused = say(ann, "a2")
            assert refused.status_code == 429
            assert refused.json() == {
                "error": "Too many requests",
                "limit": 2,
                "window": "at once",
                "retry_after": RETRY_AFTER_S,
            }
            assert refused.headers["retry-after"] == str(RETRY_AFTER_S)
            assert ann.get("/sessions/a2").status_code == 404, "what was refused leaves nothing"
            running.append(pool.submit(say, bob, "b0"))
            wait_for_runs(app.state.engine, 3)
            for client, session in ((ann, "a0"), (ann, "a1"), (bob, "b0")):
                assert client.post(f"/sessions/{session}/cancel").json()["cancelled"]
            assert [future.result(30).status_code for future in running] == [200, 200, 200]
            wait_for_runs(app.state.engine, 0)
            released.set()
            assert say(ann, "a2").status_code == 200
            counted = ann.get("/metrics").text
            assert 'agent_runtime_refused_total{limit="runs"} 1.0' in counted


def until_done(futures: list[Future[httpx.Response]], number: int) -> list[httpx.Response]:
    """Wait until so many are answered: their answers."""
    for _ in range(600):
        if sum(future.done() for future in futures) >= number:
            break
        threading.Event().wait(0.05)
    return [future.result() for future in futures if future.done()]


def test_a_full_process_sheds_new_turns_and_no_owner_takes_the_places_of_the_others(
    stub: OpenAIStub, tmp_path: Path, released: threading.Event
) -> None:
    with (
        running_app(**settings(stub, tmp_path, max_runs=8)) as (app, url),
        ThreadPoolExecutor(40) as pool,
        ExitStack() as open_clients,
    ):
        running: list[Future[httpx.Response]] = []
        sessions: list[tuple[httpx.Client, str]] = []
        for user, share in (("ann", 4), ("bob", 2), ("carl", 1), ("dora", 1), ("emil", 0)):
            client = open_clients.enter_context(api_client(url, **{"X-End-User": user}))
            asked = [pool.submit(say, client, f"{user}{n}") for n in range(8)]
            refused = until_done(asked, 8 - share)
            assert len(refused) == 8 - share, f"{user}: {len(refused)} of 8 turns are refused"
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {str(RETRY_AFTER_S)}
            assert {answer.json()["code"] for answer in refused} == {"not_ready"}
            rows = client.get("/sessions").json()["sessions"]
            assert len(rows) == share, "what was refused leaves nothing"
            sessions += [(client, row["id"]) for row in rows]
            running += [future for future in asked if not future.done()]
        wait_for_runs(app.state.engine, 8)
        assert 'agent_runtime_refused_total{limit="capacity"} 32.0' in client.get("/metrics").text
        released.set()
        for owner, session in sessions:
            assert owner.post(f"/sessions/{session}/cancel").json()["cancelled"]
        assert [future.result(30).status_code for future in running] == [200] * 8
        wait_for_runs(app.state.engine, 0)
        assert say(client, "emil-again").status_code == 200, "the places are free again"


def test_a_full_process_takes_results_and_decisions(
    stub: OpenAIStub, tmp_path: Path, released: threading.Event
) -> None:
    with running_app(**settings(stub, tmp_path, max_runs=2)) as (app, url), ThreadPoolExecutor(4) as pool:
        user = {"X-End-User": "ann"}
        with api_client(url, **user) as ann, api_client(url, **{"X-End-User": "bob"}) as bob:
            answer = stub.responder
            stub.responder = None
            stub.script([{"tool": "read_file", "args": {"path": "a"}, "id": "r1"}])
            paused = Ide(ann, 2, session_id="paused")
            assert of_type(paused.say("Read", agent_type="coder"), "tool_call")
            stub.responder = answer
            running = [pool.submit(say, ann, "a"), pool.submit(say, bob, "b")]
            wait_for_runs(app.state.engine, 2)
            assert say(bob, "b2").status_code == 503
            released.set()
            assert of_type(paused.result("r1", "content"), "done")
            for client, session in ((ann, "a"), (bob, "b")):
                assert client.post(f"/sessions/{session}/cancel").json()["cancelled"]
            assert [future.result(30).status_code for future in running] == [200, 200]


def test_an_owner_has_so_many_streams_at_once(stub: OpenAIStub, tmp_path: Path) -> None:
    stub.script([{"text": "hello"}])
    user = {"X-End-User": "ann"}
    with running_app(**settings(stub, tmp_path, max_streams_per_owner=1)) as (_, url):  # noqa: SIM117 the client needs it
        with api_client(url, **user) as ann, api_client(url, **user) as other:
            say(ann, "s")
            with ann.stream("GET", "/sessions/s/stream") as first:
                lines = first.iter_lines()  # a dropped iterator would close the stream
                assert next(lines).startswith("id:")
                assert other.get("/sessions/s/stream", params={"follow": "false"}).status_code == 429
            for _ in range(600):
                if other.get("/sessions/s/stream", params={"follow": "false"}).status_code == 200:
                    return
                threading.Event().wait(0.05)
            raise AssertionError("a closed stream still counts")


def test_so_many_requests_wait_for_a_session(stub: OpenAIStub, tmp_path: Path, released: threading.Event) -> None:
    with (
        running_app(**settings(stub, tmp_path, max_waiting_per_session=2)) as (app, url),
        ThreadPoolExecutor(8) as pool,
        api_client(url) as client,
    ):
        first = pool.submit(say, client, "s")
        wait_for_runs(app.state.engine, 1)
        waiting = [pool.submit(say, client, "s") for _ in range(3)]
        for _ in range(600):
            if app.state.engine.waiting_requests == 2:
                break
            threading.Event().wait(0.05)
        refused = say(client, "s")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, str(RETRY_AFTER_S))
        assert refused.json()["code"] == "not_ready"
        released.set()
        assert client.post("/sessions/s/cancel").json()["cancelled"]
        assert {future.result(60).status_code for future in [first, *waiting]} == {200}


async def test_the_table_of_windows_is_bounded() -> None:
    async def app(*_: Any) -> None:
        """Answer nothing."""

    async def nothing(*_: Any) -> Any:
        return {}

    limit = RateLimit(app, per_minute=1, clock=lambda: 1000.0)
    for number in range(MAX_KEYS + 100):
        scope = {"type": "http", "path": f"/sessions/s{number}", "method": "GET", "state": {"owner": "k"}}
        await limit(scope, nothing, nothing)
    assert len(limit._seen) == MAX_KEYS
