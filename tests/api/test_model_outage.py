"""A model that is down, slow, flapping or talking nonsense under fifty sessions: every turn ends with a clear chunk."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from runs.engine import Engine
from tests.openai_stub import OpenAIStub
from tests.running import KEY, running_app

SESSIONS = 50
FAILURES = 5
CODES = {"llm_unavailable", "llm_timeout", "llm_bad_reply"}
_flaps = itertools.count()
TROUBLES: dict[str, Callable[[], dict[str, Any]]] = {
    "down": lambda: {"status": 503},
    "slow": lambda: {"text": "late", "silent_s": 30},
    "flapping": lambda: {"text": "fine"} if next(_flaps) % 3 == 0 else {"status": 502},
    "nonsense": lambda: {"bytes": "data: {]\n\n", "type": "text/event-stream"},
}


async def turn(client: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    """One message of a session: the chunks of its answer."""
    message = {"type": "user_message", "content": "hello", "agent_type": "ask"}
    body = {"session_id": session, "protocol_version": 2, "message": message}
    for _ in range(20):
        response = await client.post("/agent/message/stream", json=body)
        if response.status_code != 503:  # the one SQLite file of a busy machine: sent again, as documented
            break
        await asyncio.sleep(int(response.headers["Retry-After"]))
    assert response.status_code == 200, response.text
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_turn_ends_clearly_while_the_model_is_in_trouble(
    trouble: str, stub: OpenAIStub, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "db_url": f"sqlite:///{tmp_path}/x.db",
        "llm_model": "scripted",
        "llm_proxy_url": stub.url,
        "llm_max_retries": 1,
        "llm_timeout_seconds": 1,
        "llm_breaker_failures": FAILURES,
        "llm_breaker_seconds": 1,
    }
    stub.responder = lambda _: TROUBLES[trouble]()
    with running_app(**settings) as (app, url):
        engine: Engine = app.state.engine
        headers = {"X-Internal-Auth": KEY}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
            for _ in range(2):
                turns = await asyncio.gather(*(turn(client, f"s{number}") for number in range(SESSIONS)))
                for chunks in turns:
                    assert chunks[-1]["type"] == "done"
                    errors = [chunk for chunk in chunks if chunk["type"] == "error"]
                    if chunks[-1]["metadata"]["outcome"] == "completed":
                        assert trouble == "flapping"
                        assert errors == []
                        continue
                    [error] = errors
                    told = error["metadata"]
                    assert told["code"] in CODES
                    assert (told["origin"], told["retryable"]) == ("llm", True)
                    assert told["retry_after_seconds"] >= 1
            outcomes = Counter(chunks[-1]["metadata"]["outcome"] for chunks in turns)
            assert outcomes["failed"] + outcomes["completed"] == SESSIONS
            if trouble != "flapping":
                assert stub.agent_calls < 2 * SESSIONS, "the breaker kept calls from the server"
                ready = await client.get("/ready")
                assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
                assert ready.json()["checks"]["llm"] == engine.models.breaker.state != "closed"
            listing = (await client.get("/sessions", params={"limit": 1000})).json()["sessions"]
            assert {session["status"] for session in listing} == {"idle"}
            stub.responder = lambda _: {"text": "well again"}
            await asyncio.sleep(engine.models.breaker.wait_s)
            assert (await turn(client, "s0"))[-1]["metadata"]["outcome"] == "completed"
            assert (await client.get("/ready")).json()["status"] == "ready"
            after = await asyncio.gather(*(turn(client, f"s{number}") for number in range(0, SESSIONS, 10)))
            assert {chunks[-1]["metadata"]["outcome"] for chunks in after} == {"completed"}
