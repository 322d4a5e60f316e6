"""The application opened inside the test: its engine to look at, and a client without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from runs.engine import Engine
from server import create_app
from settings import Settings
from tests.ide import STREAM, Chunk, chunks_in, request_body, user_message
from tests.running import KEY


class Client:
    """Talks to one opened application."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def post(self, message: dict[str, Any], session_id: str = "s") -> tuple[int, list[Chunk]]:
        """Send a message: the status, and its chunks or the refusal as the only one."""
        response = await self.http.post(STREAM, json=request_body(message, session_id))
        if response.status_code != 200:
            return response.status_code, [response.json()]
        return 200, chunks_in(response.text)

    async def play(
        self, replies: list[dict[str, Any]], session_id: str = "s", agent: str = "coder"
    ) -> tuple[int, list[Chunk]]:
        """Let the scripted model say these replies."""
        content = f"#script\n{json.dumps(replies)}\nGo."
        return await self.post(user_message(content, agent_type=agent), session_id)

    async def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def opened(db_url: str, **settings: Any) -> AsyncIterator[tuple[Engine, Client]]:
    """Open the application on a database."""
    chosen: dict[str, Any] = {"internal_api_key": KEY, "rate_limit_per_minute": 0, **settings}
    app = create_app(Settings.load(db_url=db_url, **chosen))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        headers = {"X-Internal-Auth": KEY}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers, timeout=60) as http:
            await app.state.engine.load_graph()  # tests look at parts that a request would load
            yield app.state.engine, Client(http)
