"""Keys, users and the sliding minute: who may ask, how often, and what the refusal looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from api.limits import RateLimit
from errors import ConfigurationError
from server import create_app
from settings import Settings
from tests.running import running_server

KEYS = "plain-key,web=first-key,web=second-key,cli=cli-key"
EXEMPT = ("/health", "/ready", "/docs", "/openapi.json", "/redoc", "/favicon.ico")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("access")
    with running_server(db_url=f"sqlite:///{path}/test.db", internal_api_key=KEYS) as url:
        yield url


def call(url: str, method: str, path: str, key: str | None, user: str | None = None, **more: Any) -> httpx.Response:
    headers = {"X-Internal-Auth": key} if key is not None else {}
    if user is not None:
        headers["X-End-User"] = user
    return httpx.request(method, url + path, headers=headers, trust_env=False, **more)


def test_a_missing_and_a_wrong_key_look_the_same(url: str) -> None:
    for key in (None, "", "wrong", "web", "web=first-key", "plain-key,web=first-key", "PLAIN-KEY"):
        for method, path in (("GET", "/sessions"), ("POST", "/agent/message/stream"), ("GET", "/nothing")):
            response = call(url, method, path, key)
            assert (response.status_code, response.text) == (401, '{"detail":"unauthorized"}'), (key, path)
    for path in ("/metrics", "/consoles", "/health/", "/docs/oauth2-redirect", "//health"):
        assert call(url, "GET", path, None).status_code == 401, path


@pytest.mark.parametrize("path", EXEMPT)
def test_exempt_paths_need_no_key(url: str, path: str) -> None:
    assert call(url, "GET", path, None).status_code == (404 if path == "/favicon.ico" else 200)


def test_keys_of_one_name_are_one_principal(url: str) -> None:
    assert call(url, "POST", "/sessions", "first-key", json={"session_id": "rotated"}).status_code == 201
    assert call(url, "GET", "/sessions/rotated", "second-key").status_code == 200
    for key in ("plain-key", "cli-key"):
        assert call(url, "GET", "/sessions/rotated", key).status_code == 404
        assert call(url, "POST", "/sessions", key, json={"session_id": "rotated"}).status_code == 409


def test_users_of_one_key_do_not_see_each_other(url: str) -> None:
    assert call(url, "POST", "/sessions", "cli-key", "ann", json={"session_id": "of-ann"}).status_code == 201
    assert call(url, "GET", "/sessions/of-ann", "cli-key", "ann").status_code == 200
    for key, user in (("cli-key", "bob"), ("cli-key", None), ("cli-key", "Ann"), ("plain-key", "ann")):
        response = call(url, "GET", "/sessions/of-ann", key, user)
        assert response.json() == {"detail": "Session of-ann not found", "code": "session_unknown"}, (key, user)
    listed = call(url, "GET", "/sessions", "cli-key", "bob").json()
    assert (listed["sessions"], listed["total"]) == ([], 0)


def test_a_user_is_visible_ascii(url: str) -> None:
    assert call(url, "GET", "/sessions", "cli-key", "x" * 128).status_code == 200
    for user in ("x" * 129, "a b", "a\tb"):
        response = call(url, "GET", "/sessions", "cli-key", user)
        assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    latin = httpx.get(url + "/sessions", headers=[(b"X-Internal-Auth", b"cli-key"), (b"X-End-User", b"\xe4")])
    assert latin.status_code == 400


@pytest.mark.parametrize("keys", ["web=", "abc==", "=key", "a/b=key", "good,web="])
def test_a_key_that_nobody_could_mean_stops_the_start(keys: str, tmp_path: Path) -> None:
    settings = Settings.load(internal_api_key=keys, db_url=f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(ConfigurationError, match="INTERNAL_API_KEY"):
        create_app(settings)


def test_the_limit_counts_by_session_then_by_end_user_then_by_gateway(tmp_path: Path) -> None:
    settings = {"db_url": f"sqlite:///{tmp_path}/x.db", "internal_api_key": "k", "rate_limit_per_minute": 3}
    with running_server(**settings) as url:
        body = {"session_id": "s", "message": {"type": "tool_result"}}
        by_path = [call(url, "GET", "/sessions/s", "k") for _ in range(2)]
        assert [r.headers["x-ratelimit-remaining"] for r in by_path] == ["2", "1"]
        assert {r.headers["x-ratelimit-limit"] for r in by_path} == {"3"}
        assert call(url, "POST", "/agent/message/stream", "k", json=body).headers["x-ratelimit-remaining"] == "0"
        over = call(url, "POST", "/agents/s/switch", "k", json={"target_agent": "ask"})
        told = over.json()
        assert over.status_code == 429
        wait = told.pop("retry_after")
        assert told == {"error": "Too many requests", "limit": 3, "window": "1 minute"}
        assert 1 <= wait <= 60
        assert over.headers["retry-after"] == str(wait)
        assert over.headers["x-ratelimit-remaining"] == "0"
        assert call(url, "GET", "/sessions/other", "k").status_code == 404
        listed = [call(url, "GET", "/sessions", "k", "ann") for _ in range(4)]
        assert [r.status_code for r in listed] == [200, 200, 200, 429], "an end user has the limit"
        assert call(url, "GET", "/sessions", "k", "bob").status_code == 200, "another one has a minute of his own"
        listed = [call(url, "GET", "/sessions", "k") for _ in range(31)]
        assert [r.status_code for r in listed] == [*[200] * 30, 429], "a gateway has ten times the limit"
        assert listed[0].headers["x-ratelimit-limit"] == "30"
        assert call(url, "GET", "/sessions/not%20an%20id", "k").status_code == 429
        sessions = [call(url, "GET", f"/sessions/of-ann-{n}", "k", "ann").status_code for n in range(31)]
        assert sessions.count(404) == 27, "the sessions of one end user share ten times the limit"
        assert sessions[-1] == 429
        assert call(url, "GET", "/sessions", "wrong").status_code == 401
        health = call(url, "GET", "/health", None)
        assert (health.status_code, "x-ratelimit-limit" in health.headers) == (200, False)


async def test_the_minute_slides_and_the_wait_is_true() -> None:
    now = [1000.0]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limit = RateLimit(app, per_minute=2, clock=lambda: now[0])

    async def ask() -> tuple[int, dict[str, str]]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            await asyncio.sleep(0)
            return {"type": "http.request"}

        scope = {"type": "http", "path": "/sessions", "method": "GET", "headers": [], "client": ("1.2.3.4", 1)}
        await limit(scope, receive, send)
        return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}

    assert (await ask())[0] == 200
    now[0] += 40
    assert (await ask())[0] == 200
    status, headers = await ask()
    assert (status, headers["retry-after"], headers["x-ratelimit-reset"]) == (429, "20", "1060")
    now[0] += 19.5
    assert (await ask())[1]["retry-after"] == "1"
    now[0] += 0.6
    assert (await ask())[0] == 200
    assert (await ask())[1]["retry-after"] == "40"
