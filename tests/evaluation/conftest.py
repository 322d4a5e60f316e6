"""The labelled requests, and the models that an evaluation asks."""

from __future__ import annotations

from pathlib import Path

from llm.chat_model import Endpoint, Models
from tests.openai_stub import OpenAIStub

ROOT = Path(__file__).parents[2]
REQUESTS = ROOT / "tests" / "corpora" / "routing_dev.jsonl"


def stub_models(stub: OpenAIStub) -> Models:
    return Models(model="stub", endpoint=Endpoint(stub.url), max_retries=0)
