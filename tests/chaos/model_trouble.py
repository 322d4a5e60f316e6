"""A model in trouble under fifty sessions: every turn ends with a clear chunk, the breaker works, all else goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from llm.breaker import Breaker
from runs.engine import Engine
from tests.chaos.facts import Report, percentile
from tests.openai_stub import OpenAIStub
from tests.running import KEY, running_app

SESSIONS = 50
AT_ONCE = 10
"""Turns at a time once the model is well: a busy machine answers more than these too late."""
FAILURES = 5
PAUSE_S = 1.0
RETRIES = 1
CODES = {"llm_unavailable", "llm_timeout", "llm_bad_reply"}
TROUBLES = ("down", "slow", "flapping", "nonsense")
UP_REPLIES = 20
"""So many replies a flapping model gives, then it fails until the breaker has opened again."""
ENOUGH_S = 60.0
"""How much longer than asked for it goes on until everything was seen once."""


def reply_in(trouble: str, actions: Counter[str]) -> Callable[[Any], dict[str, Any]]:
    """How the model server answers while it is in this trouble; `actions` counts what the breaker did."""
    left, opened = 0, 0

    def flap(_: Any) -> dict[str, Any]:
        nonlocal left, opened
        if not left and actions["breaker_open"] > opened:
            left, opened = UP_REPLIES, actions["breaker_open"]
        if not left:
            return {"status": 502}
        left -= 1
        return {"text": "fine"}

    replies: dict[str, Callable[[Any], dict[str, Any]]] = {
        "down": lambda _: {"status": 503},
        "slow": lambda _: {"text": "late", "silent_s": 30},
        "flapping": flap,
        "nonsense": lambda _: {"bytes": "data: {]\n\n", "type": "text/event-stream"},
    }
    return replies[trouble]


@dataclass
class _Seen:
    """What the clients saw."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    other_requests: int = 0


class _Turns(logging.Handler):
    """Counts what the breaker says it did."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one log line."""
        self.actions[getattr(record, "action", "")] += 1


@contextmanager
def breaker_log() -> Iterator[Counter[str]]:
    """Count the log lines of breakers by their action."""
    logger, handler = logging.getLogger(Breaker.__module__), _Turns()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler.actions
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def suffer(db_url: str, stub: OpenAIStub, trouble: str, seconds: float) -> Report:
    """Talk in fifty sessions for so long while the model is in trouble, then see it answer all of them again."""
    settings: dict[str, Any] = {
        "db_url": db_url,
        "llm_model": "scripted",
        "llm_proxy_url": stub.url,
        "llm_max_retries": RETRIES,
        "llm_timeout_seconds": 3,
        "llm_breaker_failures": FAILURES,
        "llm_breaker_seconds": PAUSE_S,
    }
    stub.responder = lambda _: {"text": "well"}
    seen, headers = _Seen(), {"X-Internal-Auth": KEY}
    with breaker_log() as actions, running_app(**settings) as (app, url):
        engine: Engine = app.state.engine
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            await _turn(client, "other", _Seen())
            began = time.monotonic()

            def goes_on() -> bool:
                """Whether the time is not over, or something that must happen has not happened yet."""
                lasted = time.monotonic() - began
                has_flapped = trouble != "flapping" or bool(seen.outcomes["completed"])
                return lasted < seconds or (
                    lasted < seconds + ENOUGH_S and not (actions["breaker_open"] and has_flapped)
                )

            stub.responder, asked = reply_in(trouble, actions), stub.agent_calls
            others = _do_else(client, goes_on, seen)
            await asyncio.gather(*(_talk(client, n, goes_on, seen) for n in range(SESSIONS)), others)
            asked = stub.agent_calls - asked
            stub.responder = lambda _: {"text": "well again"}
            await asyncio.sleep(engine.models.breaker.wait_s)
            probe, after = _Seen(), _Seen()
            await _turn(client, "s0", probe)
            for some in range(0, SESSIONS, AT_ONCE):
                await asyncio.gather(*(_turn(client, f"s{n}", after) for n in range(some, some + AT_ONCE)))
            rows = (await client.get("/sessions", params={"limit": 1000})).json()["sessions"]
            ready = (await client.get("/ready")).json()
    turns = sum(seen.outcomes.values())
    assert probe.outcomes + after.outcomes == {"completed": SESSIONS + 1}, (
        f"all go on once the model answers: {after.codes}"
    )
    assert {row["status"] for row in rows} == {"idle"}, "no session is stuck"
    assert (ready["status"], ready["checks"]["llm"]) == ("ready", "closed")
    assert set(seen.codes) <= CODES
    assert seen.codes.total() == seen.outcomes["failed"], "one clear error for every turn that failed"
    assert actions["breaker_open"] >= 1, "it opened"
    assert actions["breaker_closed"] >= 1, "it closed"
    assert seen.other_requests > 0
    if trouble == "flapping":
        assert seen.outcomes["failed"] > 0, "turns fail while it does"
        assert seen.outcomes["completed"] > 0, "turns succeed between its failures"
    else:
        assert set(seen.outcomes) == {"failed"}
        # All sessions may have asked before it opened; from then on there is one probe for each pause.
        allowed = SESSIONS * (1 + RETRIES) + actions["breaker_open"] + 1
        assert asked <= allowed, "the breaker keeps calls from the server"
        assert actions["breaker_closed"] == 1, "only the model that was well again closed it"
    figures = {
        "seconds": seconds,
        "sessions": SESSIONS,
        "turns": turns,
        "turns completed": seen.outcomes["completed"],
        "turns failed with a clear error": seen.outcomes["failed"],
        "turns without an end": 0,
        "requests to the model server": asked,
        "times the breaker opened": actions["breaker_open"],
        "times the breaker closed": actions["breaker_closed"],
        "longest turn s": round(percentile(seen.took_s, 1.0), 2),
        "other requests answered": seen.other_requests,
        "other requests failed": 0,
    }
    return Report(f"A model that is {trouble}" if trouble != "nonsense" else "A model that talks nonsense", 0, figures)


async def _talk(client: httpx.AsyncClient, number: int, goes_on: Callable[[], bool], seen: _Seen) -> None:
    while goes_on():
        wait_s = await _turn(client, f"s{number}", seen)
        await asyncio.sleep(wait_s)


async def _turn(client: httpx.AsyncClient, session: str, seen: _Seen) -> float:
    """Send one message; it must be answered by an end of turn. Gives how long the error asks to wait."""
    message = {"type": "user_message", "content": "hello", "agent_type": "ask"}
    began = time.monotonic()
    body = {"session_id": session, "protocol_version": 2, "message": message}
    response = await _insist(client, "POST", "/agent/message/stream", json=body)
    assert response.status_code == 200, response.text
    seen.took_s.append(time.monotonic() - began)
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
    assert chunks[-1]["type"] == "done", f"{session}: the turn has no end"
    outcome = chunks[-1]["metadata"]["outcome"]
    seen.outcomes[outcome] += 1
    errors = [chunk for chunk in chunks if chunk["type"] == "error"]
    if outcome == "completed":
        assert errors == []
        return 0.05
    [error] = errors
    told = error["metadata"]
    seen.codes[told["code"]] += 1
    assert error["content"]
    assert (told["origin"], told["retryable"]) == ("llm", True)
    assert told["retry_after_seconds"] >= 1
    return float(told["retry_after_seconds"])


async def _do_else(client: httpx.AsyncClient, goes_on: Callable[[], bool], seen: _Seen) -> None:
    """What needs no model is answered all the while."""
    while goes_on():
        for path in ("/health", "/ready", "/sessions", "/sessions/other/history", "/pending"):
            response = await _insist(client, "GET", path)
            assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
            seen.other_requests += 1
        renamed = await _insist(client, "PATCH", "/sessions/other", json={"title": f"Title {seen.other_requests}"})
        assert renamed.status_code == 200, renamed.text
        seen.other_requests += 1
        await asyncio.sleep(0.2)


async def _insist(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    """Send a request again, as documented, while the database of a busy machine is late."""
    for _ in range(20):
        response = await client.request(method, path, **more)
        if response.status_code != 503:
            break
        await asyncio.sleep(int(response.headers["Retry-After"]))
    return response
