"""The real server for tests: uvicorn on a free port of this machine, in a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from api.connection import server_config
from server import create_app
from settings import Settings
from tests.openai_stub import OpenAIStub

KEY = "test-key"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of loopback addresses: loading the real ones takes as long as a turn."""


@contextlib.contextmanager
def running_server(**settings: Any) -> Iterator[str]:
    """Serve with these settings; gives the base URL."""
    with running_app(**settings) as (_, url):
        yield url


@contextlib.contextmanager
def running_app(limits: Any = None, **settings: Any) -> Iterator[tuple[FastAPI, str]]:
    """Serve with these settings, and perhaps ClientLimits; gives the application and the base URL."""
    chosen: dict[str, Any] = {"internal_api_key": KEY, "rate_limit_per_minute": 0, **settings}
    app = create_app(Settings.load(**chosen))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        config = server_config(app, limits=limits, log_level="warning", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while not server.started:
                assert thread.is_alive(), "the server ended while it started"
                assert time.monotonic() < deadline, "the server did not start in 60 s"
                time.sleep(0.01)
            yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive(), "the server did not stop in 30 s"


@contextlib.contextmanager
def talking(db_url: str, stub: OpenAIStub, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a server on that database whose model is the stub."""
    chosen = {"db_url": db_url, "llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0, **settings}
    with running_server(**chosen) as url, api_client(url) as client:
        yield client


def api_client(base_url: str, **headers: str) -> httpx.Client:
    """A client with the key of the tests."""
    return httpx.Client(
        base_url=base_url,
        headers={"X-Internal-Auth": KEY, **headers},
        timeout=30,
        verify=NO_CERTIFICATES,
        trust_env=False,
    )
