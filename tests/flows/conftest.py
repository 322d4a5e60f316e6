"""A server with a scripted OpenAI-compatible model behind it, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server


@pytest.fixture
def serve(db_url: str, stub: OpenAIStub) -> Iterator[Callable[..., httpx.Client]]:
    """Start a server with settings of the test; gives a client."""
    with ExitStack() as stack:

        def start(**settings: Any) -> httpx.Client:
            model = {"llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0}
            url = stack.enter_context(running_server(db_url=db_url, **{**model, **settings}))
            return stack.enter_context(api_client(url))

        yield start
