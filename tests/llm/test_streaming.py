"""A reply is the same with LangChain's callbacks around it and without; only with them they are told."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableLambda

from llm.chat_model import Models
from llm.streaming import Reply
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS

SCRIPT = '#script\n[{"text": "One two.", "tool": "read_file", "args": {"path": "a.py"}, "id": "c1"}]\nGo.'
REPLY = {
    "text": "One two.",
    "tool": "read_file",
    "args": {"path": "a.py"},
    "id": "c1",
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


class Heard(AsyncCallbackHandler):
    """What LangChain tells a tracer."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ends: list[LLMResult] = []

    async def on_llm_new_token(self, token: str | list[Any], **kwargs: Any) -> None:  # noqa: ARG002 the signature is langchain's
        self.tokens.append(str(token))

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:  # noqa: ARG002
        self.ends.append(response)


async def replies(models: Models, text: str) -> tuple[Reply, Reply, Heard, list[list[str]]]:
    heard = Heard()
    shown: list[list[str]] = [[], []]

    async def ask(place: int) -> Reply:
        tools = [tool for tool in TOOLS if tool.agent_argument is None]
        return await models.reply([HumanMessage(text)], tools=tools, on_text=shown[place].append)

    plain = await ask(0)
    told = await RunnableLambda(ask).ainvoke(1, {"callbacks": [heard]})
    return plain, told, heard, shown


@pytest.mark.parametrize("kind", ["scripted", "server"])
async def test_callbacks_change_nothing_of_a_reply(stub: OpenAIStub, make_models: MakeModels, kind: str) -> None:
    stub.script([REPLY, REPLY])
    models = Models() if kind == "scripted" else make_models()
    plain, told, heard, shown = await replies(models, SCRIPT)
    same = {"duration_ms": 0}
    assert {**vars(plain), **same} == {**vars(told), **same}
    assert plain.calls[0].name == "read_file"
    assert plain.usage is not None
    assert shown[0] == shown[1] == ["One", " two."]
    assert "".join(heard.tokens) == "One two."
    assert [end.generations[0][0].text for end in heard.ends] == ["One two."]
