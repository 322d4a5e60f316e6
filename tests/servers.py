"""Servers that tests share: one per database kind and settings, started when first asked for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import httpx

from agents.classification_cache import ClassificationCache
from runs.engine import Engine
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_app

QUIET_S = 30.0
Serve = Callable[..., httpx.Client]
Database = Callable[[], AbstractContextManager[str]]
"""Makes a migrated database: its URL."""


class Servers:
    """A test gets a client with an end user of its own; what the test left running is cancelled after it."""

    def __init__(self, stub: OpenAIStub, make_database: Database, stack: ExitStack) -> None:
        self._stub = stub
        self._make_database = make_database
        self._stack = stack
        self._running: dict[tuple[Any, ...], tuple[Engine, str]] = {}

    @contextmanager
    def client(self, **settings: Any) -> Iterator[httpx.Client]:
        """A client of the server with these settings; its model is the stub."""
        key = tuple(sorted(settings.items()))
        if key not in self._running:
            self._running[key] = self._start(**settings)
        engine, url = self._running[key]
        engine.classifications = ClassificationCache()
        engine.models.breaker.reset()
        with api_client(url, **{"X-End-User": f"u-{uuid.uuid4().hex[:12]}"}) as client:
            try:
                yield client
            finally:
                end_runs(engine, client)

    def _start(self, **settings: Any) -> tuple[Engine, str]:
        model = {"llm_model": "scripted", "llm_proxy_url": self._stub.url, "llm_max_retries": 0}
        db_url = self._stack.enter_context(self._make_database())
        app, url = self._stack.enter_context(running_app(db_url=db_url, **{**model, **settings}))
        return app.state.engine, url


def end_runs(engine: Engine, client: httpx.Client) -> None:
    """Cancel the runs that a test left and wait for their end: none may take from the next test's script."""
    deadline = time.monotonic() + QUIET_S
    for row in client.get("/sessions", params={"limit": 1000}).json()["sessions"]:
        if row["status"] == "running":
            client.post(f"/sessions/{row['id']}/cancel")
    while engine.tasks:
        assert time.monotonic() < deadline, f"runs of the test did not end in {QUIET_S:.0f} s: {list(engine.tasks)}"
        time.sleep(0.002)
