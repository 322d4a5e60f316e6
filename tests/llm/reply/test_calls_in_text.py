"""Calls written as text, through the whole client: made calls, never shown, and left as text where in doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.llm.asking import ASK, FENCED
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS


async def test_a_fenced_call_becomes_a_call_and_is_never_shown(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": FENCED}])
    shown: list[str] = []
    reply = await make_models().reply(ASK, tools=TOOLS, on_text=shown.append)
    assert [(call.name, call.arguments) for call in reply.calls] == [("read_file", {"path": "a.py"})]
    assert (reply.text, shown, reply.calls_were_text) == ("", [], True)


async def test_text_before_a_fenced_call_is_shown(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": f"I read it.\n{FENCED}"}])
    shown: list[str] = []
    reply = await make_models().reply(ASK, tools=TOOLS, on_text=shown.append)
    assert "".join(shown) == reply.text == "I read it.\n"
    assert len(reply.calls) == 1


async def test_a_whole_fenced_call_at_the_token_limit_counts(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": FENCED, "truncated": True}])
    assert len((await make_models(max_retries=0).reply(ASK, tools=TOOLS)).calls) == 1


async def test_a_fenced_call_that_was_cut_is_no_call(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": FENCED[:-8], "truncated": True}])
    reply = await make_models(max_retries=0).reply(ASK, tools=TOOLS)
    assert (reply.calls, reply.text, reply.finish_reason) == ((), FENCED[:-8], "length")


@pytest.mark.parametrize("finish", [{"hang": True}, {"truncated": True}])
async def test_blanks_behind_a_call_in_text_do_not_spoil_it(
    stub: OpenAIStub, make_models: MakeModels, finish: dict[str, Any]
) -> None:
    stub.words = False
    call = '```json\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```'
    stub.script([{"text": call + "\n" * 3_000, **finish}])
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS), 60)
    assert [c.arguments for c in reply.calls] == [{"path": "a.py"}]
    assert (reply.text, reply.attempts) == ("", 1)


async def test_a_call_in_text_with_an_error_is_for_the_model_to_read(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    call = '```json\n{"name": "read_file", "arguments": {"path": "a\\.py"}}\n```'
    stub.script([{"text": call + "\n" * 3_000, "truncated": True}])
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS), 60)
    assert [(c.name, c.arguments) for c in reply.calls] == [("read_file", None)]
    assert reply.calls[0].problem
    assert (reply.text, reply.attempts) == ("", 1)


async def test_a_call_in_text_that_more_text_follows_is_text(stub: OpenAIStub, make_models: MakeModels) -> None:
    call = '{"name": "read_file", "arguments": {"path": "a.py"}}'
    stub.script([{"text": call + "\nand then I"}])
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert (reply.text, reply.calls) == (call + "\nand then I", ())
