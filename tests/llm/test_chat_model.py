"""llm/chat_model.py against a real model server: replies, refusals, retries, and what must never happen."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from errors import ConfigurationError, ModelBadReply, ModelError, ModelTimeout, ModelUnavailable
from llm.chat_model import Models, Reply, Retry, Usage
from llm.reply.incoming import MAX_REPLY_CHARS
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import BY_NAME, TOOLS

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


# replies


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


# calls that must not run


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


# calls written as text


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


async def test_json_for_a_classifier_stays_text(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    reply = await make_models().reply(ASK, temperature=0.3, json_schema=SCHEMA)
    assert '"is_atomic": true' in reply.text
    assert any_stub.classifier_calls == 1


# retries


async def test_a_server_error_is_tried_again(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"status": 500}, {"status": 503}, {"text": "ok"}])
    told: list[Retry] = []
    shown: list[str] = []
    reply = await make_models(max_retries=2).reply(ASK, on_retry=told.append, on_text=shown.append)
    assert (reply.text, reply.attempts) == ("ok", 3)
    assert [(retry.attempt, retry.max_attempts, retry.code) for retry in told] == [
        (2, 3, "llm_unavailable"),
        (3, 3, "llm_unavailable"),
    ]
    assert 0.5 <= told[0].delay_s <= 0.75
    assert told[1].delay_s > told[0].delay_s
    assert reply.duration_ms >= 1000 * sum(retry.delay_s for retry in told)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
async def test_these_statuses_are_tried_again(stub: OpenAIStub, make_models: MakeModels, status: int) -> None:
    stub.script([{"status": status, "headers": {"Retry-After": "0"}}, {"text": "ok"}])
    assert (await make_models().reply(ASK)).attempts == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_these_statuses_are_final(stub: OpenAIStub, make_models: MakeModels, status: int) -> None:
    stub.script([{"status": status, "headers": {"Location": "http://127.0.0.1:1/"}}, {"text": "never"}])
    stub.script([{"status": status, "headers": {"Location": "http://127.0.0.1:1/"}}] * 9)
    error = await fails(make_models())
    assert isinstance(error, ModelUnavailable)
    assert error.details["status"] == status
    guesses = 3  # stream_options, the system role, streaming
    assert error.details["attempts"] == (1 + guesses if status in (400, 422) else 1)


async def test_retries_are_counted_out(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 500, "headers": {"Retry-After": "0"}}] * 5)
    error = await fails(make_models(max_retries=2))
    assert (error.code, error.details["attempts"], stub.left) == ("llm_unavailable", 3, 2)


async def test_no_retry_when_none_is_allowed(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 500}, {"text": "never"}])
    assert (await fails(make_models(max_retries=0))).details["attempts"] == 1
    assert stub.left == 1


async def test_retry_after_is_honoured(stub: OpenAIStub, make_models: MakeModels) -> None:
    moment = email.utils.formatdate(time.time() + 2, usegmt=True)
    stub.script(
        [
            {"status": 429, "headers": {"Retry-After": "1"}},
            {"status": 429, "headers": {"Retry-After": moment}},
            {"text": "ok"},
        ]
    )
    told: list[Retry] = []
    await make_models().reply(ASK, on_retry=told.append)
    assert told[0].delay_s == 1
    assert 0 <= told[1].delay_s <= 2


async def test_retry_after_has_a_limit(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 429, "headers": {"Retry-After": "3600"}}])
    told: asyncio.Queue[Retry] = asyncio.Queue()
    task = asyncio.create_task(make_models().reply(ASK, on_retry=told.put_nowait))
    assert (await asyncio.wait_for(told.get(), 5)).delay_s == 60
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("reply", [{"text": ""}, {"text": " \n\n "}, {"raw": {"choices": []}}, {"raw": {"id": "x"}}])
async def test_an_empty_reply_is_tried_again_and_then_bad(
    any_stub: OpenAIStub, make_models: MakeModels, reply: Any
) -> None:
    shown: list[str] = []
    any_stub.script([reply, {"text": "ok"}, reply])
    assert (await make_models(max_retries=1).reply(ASK, tools=TOOLS, on_text=shown.append)).attempts == 2
    assert shown == ["ok"]
    assert isinstance(await fails(make_models(max_retries=0)), ModelBadReply)


@pytest.mark.parametrize(
    "reply",
    [
        {"bytes": "garbage"},
        {"bytes": "data: {broken\n\n"},
        {"bytes": "\xff\xfe\x00\x01" * 50},
        {"bytes": "<html>Bad</html>", "type": "text/html"},
        {"bytes": ""},
        {"text": "half of it", "finish": None, "done": False},
    ],
)
async def test_an_unreadable_reply_is_tried_again_and_then_bad(
    stub: OpenAIStub, make_models: MakeModels, reply: Any
) -> None:
    stub.script([reply, {"text": "ok"}, reply])
    assert (await make_models().reply(ASK)).text == "ok"
    assert isinstance(await fails(make_models(max_retries=0)), ModelBadReply)


async def test_a_connection_cut_in_the_middle_is_tried_again(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": "abc " * 100, "drop_after": 200}, {"text": "ok"}])
    assert (await make_models().reply(ASK)).text == "ok"


async def test_nothing_is_tried_again_after_text_was_shown(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "abc " * 100, "drop_after": 2000}, {"text": "never"}])
    shown: list[str] = []
    error = await fails(make_models(), on_text=shown.append)
    assert isinstance(error, ModelUnavailable)
    assert shown
    assert stub.left == 1


async def test_an_error_in_the_stream(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script(
        [
            {"error": {"message": "overloaded", "code": 503}},
            {"text": "some", "error": {"message": "x"}},
            {"text": "never"},
        ]
    )
    error = await fails(make_models(max_retries=1), on_text=lambda _: None)
    assert isinstance(error, ModelUnavailable)
    assert stub.left in {0, 1}  # both texts may have come in one block, then the second error was tried as well


async def test_the_error_text_of_a_proxy_is_a_failure(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    shown: list[str] = []
    any_stub.script([{"text": "[Error] LiteLLM proxy unavailable: http://secret"}, {"text": "ok"}])
    reply = await make_models().reply(ASK, on_text=shown.append)
    assert (reply.text, shown, reply.attempts) == ("ok", ["ok"], 2)
    any_stub.script([{"text": "[Error] LiteLLM proxy unavailable"}])
    assert isinstance(await fails(make_models(max_retries=0)), ModelUnavailable)
    any_stub.script([{"bytes": "[Error] LiteLLM proxy unavailable", "type": "text/plain"}])
    assert isinstance(await fails(make_models(max_retries=0)), ModelUnavailable)


async def test_other_text_in_brackets_is_text(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": "[Error] is what the log says."}])
    assert (await make_models().reply(ASK)).text == "[Error] is what the log says."


async def test_nobody_listens(make_models: MakeModels) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told: list[Retry] = []
    models = make_models(proxy_url=f"http://127.0.0.1:{port}", max_retries=1)
    error = await fails(models, on_retry=told.append)
    assert isinstance(error, ModelUnavailable)
    assert [retry.attempt for retry in told] == [2]


# time


@pytest.mark.parametrize("slow", [{"silent_s": 5, "text": "late"}, {"hang": True}, {"text": "a b c", "delay_s": 5}])
async def test_an_attempt_has_a_limit(stub: OpenAIStub, make_models: MakeModels, slow: Any) -> None:
    stub.script([slow, {"text": "in time"}])
    models = make_models(timeout_s=0.3, max_retries=1)
    await models.open()
    told: list[Retry] = []
    reply = await models.reply(ASK, on_retry=told.append)
    assert reply.text == "in time"
    assert [retry.code for retry in told] == ["llm_timeout"]


async def test_a_timeout_after_text_is_final(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "some text", "hang": True}, {"text": "never"}])
    models = make_models(timeout_s=0.3)
    await models.open()
    assert isinstance(await fails(models, on_text=lambda _: None), ModelTimeout)
    assert stub.left == 1


@pytest.mark.parametrize(
    "reply", [{"hang": True}, {"text": "a few words", "hang": True}, {"silent_s": 1000, "text": "x"}]
)
async def test_cancelling_closes_the_connection_before_the_reply_has_ended(
    stub: OpenAIStub, make_models: MakeModels, reply: Any
) -> None:
    stub.script([reply])
    models = make_models()
    await models.open()
    task = asyncio.create_task(models.reply(ASK, on_text=lambda _: None))
    await until(lambda: bool(stub.requests))
    await asyncio.sleep(0.05)
    assert stub.disconnected == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: stub.disconnected == 1)


async def test_cancelling_ends_the_wait_before_a_retry(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 500}, {"text": "never"}])
    waiting = asyncio.Event()
    task = asyncio.create_task(make_models().reply(ASK, on_retry=lambda _: waiting.set()))
    await asyncio.wait_for(waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stub.left == 1


async def until(is_true: Any) -> None:
    """Wait for a fact, at most 5 s."""
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.002)


async def test_blanks_without_end_are_stopped_early(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    stub.script([{"text": "\n" * 20_000, "hang": True}, {"text": "ok"}])
    assert (await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS, on_text=lambda _: None), 10)).text == "ok"


@pytest.mark.parametrize("finish", [{"hang": True}, {"truncated": True}])
async def test_blanks_behind_a_text_end_it(stub: OpenAIStub, make_models: MakeModels, finish: dict[str, Any]) -> None:
    stub.words = False
    stub.script([{"text": "I cannot do that." + "\n" * 3_000, **finish}])
    shown: list[str] = []
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS, on_text=shown.append), 10)
    assert (reply.text, reply.calls, reply.finish_reason) == ("I cannot do that.\n", (), "stop")
    assert "".join(shown) == reply.text


@pytest.mark.parametrize("finish", [{"hang": True}, {"truncated": True}])
async def test_blanks_behind_a_call_in_text_do_not_spoil_it(
    stub: OpenAIStub, make_models: MakeModels, finish: dict[str, Any]
) -> None:
    stub.words = False
    call = '```json\n{"name": "read_file", "arguments": {"path": "a.py"}}\n```'
    stub.script([{"text": call + "\n" * 3_000, **finish}])
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS), 10)
    assert [c.arguments for c in reply.calls] == [{"path": "a.py"}]
    assert (reply.text, reply.attempts) == ("", 1)


async def test_a_call_in_text_with_an_error_is_for_the_model_to_read(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    call = '```json\n{"name": "read_file", "arguments": {"path": "a\\.py"}}\n```'
    stub.script([{"text": call + "\n" * 3_000, "truncated": True}])
    reply = await asyncio.wait_for(make_models().reply(ASK, tools=TOOLS), 10)
    assert [(c.name, c.arguments) for c in reply.calls] == [("read_file", None)]
    assert reply.calls[0].problem
    assert (reply.text, reply.attempts) == ("", 1)


async def test_a_call_in_text_that_more_text_follows_is_text(stub: OpenAIStub, make_models: MakeModels) -> None:
    call = '{"name": "read_file", "arguments": {"path": "a.py"}}'
    stub.script([{"text": call + "\nand then I"}])
    reply = await make_models().reply(ASK, tools=TOOLS)
    assert (reply.text, reply.calls) == (call + "\nand then I", ())


async def test_text_without_end_is_bounded(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.words = False
    stub.script([{"text": "x" * (MAX_REPLY_CHARS + 1)}])
    assert isinstance(await fails(make_models(max_retries=0)), ModelBadReply)


# what is sent


async def test_the_request_is_what_the_protocol_says(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}])
    call = {"id": "c1", "name": "read_file", "args": {"path": "ä"}, "type": "tool_call"}
    messages = [*ASK, AIMessage("", tool_calls=[call]), ToolMessage("body", tool_call_id="c1")]
    await make_models().reply(messages, tools=[BY_NAME["read_file"]])
    request = stub.requests[0]
    assert request["path"] == "/v1/chat/completions"
    assert request["body"] == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [BY_NAME["read_file"].declaration],
        "parallel_tool_calls": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "id": "c1", "function": {"name": "read_file", "arguments": '{"path": "ä"}'}}
                ],
            },
            {"role": "tool", "content": "body", "tool_call_id": "c1"},
        ],
    }
    assert stub.violations == []


async def test_optional_fields_are_sent_only_when_wished(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}] * 2)
    models = make_models()
    await models.reply(ASK)
    assert set(stub.last_agent_request) == {"model", "messages", "stream", "stream_options"}
    await models.reply(ASK, tools=TOOLS, tool_choice="required", temperature=0.0)
    assert stub.last_agent_request["tool_choice"] == "required"
    assert stub.last_agent_request["temperature"] == 0.0
    assert [tool["function"]["name"] for tool in stub.last_agent_request["tools"]] == [tool.name for tool in TOOLS]


async def test_the_schema_is_sent_as_response_format(stub: OpenAIStub, make_models: MakeModels) -> None:
    await make_models().reply(ASK, temperature=0.3, json_schema=SCHEMA)
    sent = stub.requests[0]["body"]["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"internal_key": "inner"}, {"x-internal-auth": "inner"}),
        ({"internal_key": None}, {}),
        ({"internal_key": "inner", "api_key": "outer"}, {"authorization": "Bearer outer"}),
    ],
)
async def test_only_our_own_key_goes_out(
    stub: OpenAIStub, make_models: MakeModels, monkeypatch: pytest.MonkeyPatch, keys: Any, expected: Any
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "leak")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    stub.script([{"text": "ok"}])
    await make_models(**keys, max_retries=0).reply(ASK)
    headers = stub.requests[0]["headers"]
    assert "leak" not in str(headers)
    assert {name: headers[name] for name in ("x-internal-auth", "authorization") if name in headers} == expected
    assert set(headers) - set(expected) == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "connection",
    }


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_every_form_of_the_address_works(stub: OpenAIStub, make_models: MakeModels, ending: str) -> None:
    stub.script([{"text": "ok"}])
    await make_models(proxy_url=stub.url + ending).reply(ASK)
    assert stub.requests[0]["path"] == "/v1/chat/completions"


async def test_connections_are_reused(any_stub: OpenAIStub, make_models: MakeModels) -> None:
    any_stub.script([{"text": "ok"}] * 5)
    models = make_models()
    for _ in range(5):
        await models.reply(ASK)
    assert len(any_stub.connections) == 1


async def test_many_calls_at_once(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "a b c d", "delay_s": 0.01}] * 40)
    models = make_models()
    replies: list[Reply] = await asyncio.gather(*(models.reply(ASK, tools=TOOLS) for _ in range(40)))
    assert {reply.text for reply in replies} == {"a b c d"}


# wishes that a server does not understand


async def test_response_format_is_dropped_after_a_400_and_remembered(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400, "body": {"error": {"message": "unknown field"}}}, {"text": "{}"}, {"text": "{}"}])
    models = make_models(max_retries=0)
    told: list[Retry] = []
    reply = await models.reply(ASK, json_schema=SCHEMA, on_retry=told.append)
    assert (reply.text, reply.attempts, told) == ("{}", 2, [])
    assert ["response_format" in request["body"] for request in stub.requests] == [True, False]
    await models.reply(ASK, json_schema=SCHEMA)
    assert "response_format" not in stub.last_agent_request


async def test_tool_choice_is_dropped_after_a_400_and_remembered(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400}, READ, READ])
    models = make_models(max_retries=0)
    assert (await models.reply(ASK, tools=TOOLS, tool_choice="required")).calls
    await models.reply(ASK, tools=TOOLS, tool_choice="required")
    assert ["tool_choice" in request["body"] for request in stub.requests] == [True, False, False]


async def test_a_field_that_the_server_names_is_dropped_alone(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400, "body": {"error": {"param": "parallel_tool_calls"}}}, {"text": "ok"}])
    models = make_models()
    assert (await models.reply(ASK, tools=TOOLS)).text == "ok"
    assert "parallel_tool_calls" not in stub.last_agent_request
    assert "tools" in stub.last_agent_request


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds the available context size"},
        {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens"},
    ],
)
async def test_a_conversation_that_is_too_long_is_said_so(
    stub: OpenAIStub, make_models: MakeModels, error: Any
) -> None:
    stub.script([{"status": 400, "body": {"error": error}}, {"text": "never"}])
    raised = await fails(make_models(), json_schema=SCHEMA, tools=TOOLS, tool_choice="required")
    assert isinstance(raised, ModelBadReply)
    assert "too long" in raised.message
    assert stub.left == 1


# the guard and the life of the client


@pytest.mark.parametrize("url", ["http://example.com:8002", "https://10.0.0.1/v1", "http://localhost.example.com"])
async def test_remote_models_are_refused_in_tests(make_models: MakeModels, url: str) -> None:
    with pytest.raises(ConfigurationError):
        await make_models(proxy_url=url).reply(ASK)


async def test_a_closed_client_opens_again(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}] * 2)
    models = make_models()
    await models.reply(ASK)
    await models.aclose()
    await models.aclose()
    assert (await models.reply(ASK)).text == "ok"


async def test_what_the_listener_raises_is_not_swallowed(stub: OpenAIStub, make_models: MakeModels) -> None:
    def listen(piece: str) -> None:
        raise KeyError(piece)

    stub.script([{"text": "one two", "hang": True}])
    with pytest.raises(KeyError):
        await make_models().reply(ASK, on_text=listen)
    await until(lambda: stub.disconnected == 1)


def test_the_client_is_cheap_to_import() -> None:
    code = (
        "import sys, llm.chat_model; heavy = {'langchain_openai', 'openai', 'tiktoken'}; "
        "found = (heavy | {'fastapi', 'storage', 'nodes', 'langgraph'}) & set(sys.modules); "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
