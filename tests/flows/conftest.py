"""A server with a scripted OpenAI-compatible model behind it, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking


@pytest.fixture
def serve(db_url: str, stub: OpenAIStub) -> Iterator[Callable[..., Ide]]:
    """Start a server with settings of the test; gives an IDE."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Ide:
            return Ide(stack.enter_context(talking(db_url, stub, **settings)))

        yield start
