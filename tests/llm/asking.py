"""What tests of the model client ask, and how they wait for an error or a fact."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from errors import ModelError
from llm.chat_model import Models

ASK: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("hello")]
READ = {"tool": "read_file", "args": {"path": "a.py"}, "id": "call_1"}
FENCED = '```json\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```'
SCHEMA = {"type": "object", "properties": {"agent": {"type": "string"}}, "required": ["agent"]}


async def fails(models: Models, **options: Any) -> ModelError:
    """Ask, and return the error that comes."""
    with pytest.raises(ModelError) as caught:
        await models.reply(ASK, **options)
    message = caught.value.message
    assert message.endswith((".", "?"))
    for secret in ("http", "127.0.0.1", "key", "Error", "httpx", "Traceback"):
        assert secret not in message
    return caught.value


async def until(is_true: Any) -> None:
    """Wait for a fact, at most 5 s."""
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.002)
