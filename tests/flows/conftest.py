"""A server with a scripted OpenAI-compatible model behind it, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ide import Ide
from tests.servers import Serve


@pytest.fixture
def serve(shared: Serve) -> Callable[..., Ide]:
    """A session of its own on a shared server with the settings of the test."""
    return lambda **settings: Ide(shared(**settings))
