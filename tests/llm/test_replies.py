"""Replies of a model server, streamed and as one JSON body: text, calls, usage, and calls that must not run."""

from __future__ import annotations

import asyncio

import pytest

from errors import ModelBadReply
from llm.streaming import Usage
from tests.llm.asking import ASK, READ, SCHEMA, fails, until
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS


async def test_a_plain_answer(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script(
        [{"text": "Hello  dear\nworld ☃", "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}]
    )
    shown: list[str] = []
    reply = await make_models().reply(ASK, on_text=shown.append)
    assert reply.text == "".join(shown) == "Hello  dear\nworld ☃"
    assert (reply.calls, reply.finish_reason, reply.attempts, reply.calls_were_text) == ((), "stop", 1, False)
    assert reply.usage == Usage(7, 3, 10)
    assert reply.model == "m"
    assert reply.duration_ms >= 0


async def test_text_comes_piece_by_piece_while_the_model_writes(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "one two three four", "hang": True}, {"text": "one two three four"}])
    models = make_models()
    await models.open()
    seen: list[str] = []
    writing = asyncio.create_task(models.reply(ASK, tools=TOOLS, on_text=seen.append))
    await until(lambda: len(seen) == 4)
    assert seen == ["one", " two", " three", " four"]
    assert not writing.done(), "the model has not ended its reply"
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    seen.clear()
    reply = await models.reply(ASK, tools=TOOLS, on_text=seen.append)
    assert seen == ["one", " two", " three", " four"]
    assert reply.text == "one two three four"


async def test_a_tool_call(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([READ])
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert [(c.id, c.name, c.arguments, c.problem) for c in reply.calls] == [
        ("call_1", "read_file", {"path": "a.py"}, None)
    ]
    assert (reply.text, reply.finish_reason, reply.calls_were_text) == ("", "tool_calls", False)


async def test_text_beside_a_call_and_several_calls(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script(
        [{"text": "Let me see.", "tools": [READ, {"tool": "list_files", "args": {"path": "."}, "id": "call_2"}]}]
    )
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert reply.text == "Let me see."
    assert [call.id for call in reply.calls] == ["call_1", "call_2"]


async def test_ids_are_kept_as_they_are(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"tool": "read_file", "args": {"path": "a"}}, {**READ, "id": "x" * 100}])
    models = make_models()
    assert (await models.reply(ASK, tools=TOOLS)).calls[0].id == ""
    assert (await models.reply(ASK, tools=TOOLS)).calls[0].id == "x" * 100


async def test_arguments_given_as_an_object(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{**READ, "arguments_as_object": True}])
    assert (await make_models().reply(ASK, tools=TOOLS)).calls[0].arguments == {"path": "a.py"}


async def test_a_long_call_arrives_whole(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    content = "x = 'ünï'\n" * 2000
    any_stub.script([{"tool": "write_file", "args": {"path": "a.py", "content": content}, "id": "c"}])
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert reply.calls[0].arguments == {"path": "a.py", "content": content}


async def test_usage_may_be_absent(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.usage = False
    any_stub.script([{"text": "hi"}])
    assert (await make_models().reply(ASK)).usage is None


async def test_a_raw_json_body_is_read(stub: OpenAIStub, make_models: MakeModels) -> None:
    function = {"name": "read_file", "arguments": {"path": "a.py"}}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    stub.script(
        [{"raw": {"choices": [{"message": message}]}}, {"raw": {"choices": [{"message": {"content": "only this"}}]}}]
    )
    models = make_models()
    assert (await models.reply(ASK, tools=TOOLS)).calls[0].arguments == {"path": "a.py"}
    reply = await models.reply(ASK)
    assert (reply.text, reply.finish_reason, reply.usage, reply.model) == ("only this", None, None, "m")


async def test_a_truncated_call_is_never_offered(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    cut = {"tool": "read_file", "args": '{"path": "a.py', "id": "c", "truncated": True}
    for reply_of_server in (cut, {**READ, "truncated": True}, {**READ, "text": "Look:", "finish": "max_tokens"}):
        any_stub.script([reply_of_server])
        reply = await make_models().reply(ASK, tools=TOOLS)
        assert (reply.calls, reply.finish_reason, reply.attempts) == ((), "length", 1)
        assert [call.name for call in reply.cut_calls] == ["read_file"]


async def test_text_cut_at_the_limit_is_still_text(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": "cut off he", "truncated": True}])
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert (reply.text, reply.finish_reason) == ("cut off he", "length")


@pytest.mark.parametrize("finish", ["content_filter", "weird", "function_call", "end_turn", "STOP"])
async def test_whole_calls_need_no_certain_end_and_broken_ones_do(
    any_stub: OpenAIStub, make_models: MakeModels, finish: str
) -> None:
    any_stub.script([{**READ, "finish": finish}])
    assert len((await make_models(max_retries=0).reply(ASK, tools=TOOLS)).calls) == 1
    any_stub.script([{**READ, "args": '{"path": "a', "finish": finish}])
    assert isinstance(await fails(make_models(max_retries=0), tools=TOOLS), ModelBadReply)


async def test_a_server_without_finish_reasons_needs_complete_arguments(
    any_stub: OpenAIStub, make_models: MakeModels
) -> None:
    any_stub.script([{**READ, "finish": None}, {**READ, "args": '{"path": "a', "finish": None}])
    models = make_models(max_retries=0)
    assert (await models.reply(ASK, tools=TOOLS)).calls[0].arguments == {"path": "a.py"}
    assert isinstance(await fails(models, tools=TOOLS), ModelBadReply)


async def test_broken_json_is_a_call_without_arguments(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"tool": "read_file", "args": "{bad json", "id": "call_bad"}])
    call = (await make_models().reply(ASK, tools=TOOLS)).calls[0]
    assert (call.id, call.name, call.arguments, call.raw) == ("call_bad", "read_file", None, "{bad json")
    assert call.problem


async def test_a_call_without_a_name_is_unreadable(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"tool": "", "args": {}}])
    assert isinstance(await fails(make_models(max_retries=0), tools=TOOLS), ModelBadReply)


async def test_json_for_a_classifier_stays_text(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    reply = await make_models().reply(ASK, temperature=0.3, json_schema=SCHEMA)
    assert '"is_atomic": true' in reply.text
    assert any_stub.classifier_calls == 1
