"""A running model server and the models that talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llm import chat_model
from llm.chat_model import Endpoint, ModelKeys, Models
from tests.openai_stub import OpenAIStub

MakeModels = Callable[..., Models]


@pytest.fixture(scope="session", autouse=True)
def _no_remote_models() -> None:
    chat_model.ALLOW_REMOTE_MODELS = False


@pytest.fixture(params=["streamed", "plain"])
def any_stub(request: pytest.FixtureRequest, stub: OpenAIStub) -> OpenAIStub:
    """The server, streaming and answering with one JSON body."""
    stub.streaming = request.param == "streamed"
    return stub


@pytest.fixture
async def make_models(stub: OpenAIStub) -> AsyncIterator[MakeModels]:
    """Make models that talk to the server; they are closed after the test."""
    made: list[Models] = []

    def make(**settings: Any) -> Models:
        own = {name: settings.pop(name) for name in ("model", "max_retries", "breaker", "fallback") if name in settings}
        keys = ModelKeys(settings.pop("api_key", None), settings.pop("internal_key", "key"))
        endpoint = Endpoint(**{"proxy_url": stub.url, "keys": keys, **settings})
        made.append(Models(**{"model": "m", **own}, endpoint=endpoint))
        return made[-1]

    yield make
    for models in made:
        await models.aclose()
