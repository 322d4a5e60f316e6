"""Which failures of a model server are tried again, how long is waited, and when an attempt ends."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from typing import Any

import pytest

from errors import ModelBadReply, ModelTimeout, ModelUnavailable
from llm.chat_model import Retry
from llm.failure import wait_in
from tests.llm.asking import ASK, fails
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS


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


@pytest.mark.parametrize(
    ("refusal", "delay_s"),
    [
        ({"headers": {"retry-after-ms": "250", "Retry-After": "1"}}, 0.25),
        ({"headers": {"retry-after-ms": "soon", "Retry-After": "0"}}, 0.0),
        ({"headers": {"Retry-After": "0"}, "body": {"error": {"message": "Please try again in 20s."}}}, 0.0),
        ({"body": {"error": {"message": "Rate limit reached. Please try again in 0.25s."}}}, 0.25),
        ({"body": {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "0.2s"}]}}}, 0.2),
    ],
)
async def test_the_wait_that_a_busy_server_names_is_kept(
    stub: OpenAIStub, make_models: MakeModels, refusal: dict[str, Any], delay_s: float
) -> None:
    stub.script([{"status": 429, **refusal}, {"text": "ok"}])
    told: list[Retry] = []
    await make_models().reply(ASK, on_retry=told.append)
    assert [retry.delay_s for retry in told] == [delay_s]


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("Limit 30000, Used 29000, Requested 2000. Please try again in 2s. Visit the limits page.", 2.0),
        ("Please try again in 852ms.", 0.852),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 1h2m3.5s", 3723.5),
        ("Please retry after 27 seconds.", 27.0),
        ("Please retry in 43.298s.", 43.298),
        ('{"raw": "{\\"retryDelay\\": \\"7s\\"}"}', 7.0),
        ("Try again in 1 min 30 sec", 90.0),
        ("Please try again in a while", None),
        ("Retry after 5 messages", None),
        ("Try again in 10", None),
        ("Try again in 3 months", None),
    ],
)
def test_a_wait_is_read_in_the_words_of_a_server(said: str, wait_s: float | None) -> None:
    assert wait_in(said) == wait_s


@pytest.mark.parametrize("wish", [{"headers": {"Retry-After": "3600"}}, {"body": {"message": "Try again in 2h."}}])
async def test_retry_after_has_a_limit(stub: OpenAIStub, make_models: MakeModels, wish: dict[str, Any]) -> None:
    stub.script([{"status": 429, **wish}])
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


async def test_a_port_where_no_server_listens_is_unavailable(make_models: MakeModels) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told: list[Retry] = []
    models = make_models(proxy_url=f"http://127.0.0.1:{port}", max_retries=1)
    error = await fails(models, on_retry=told.append)
    assert isinstance(error, ModelUnavailable)
    assert [retry.attempt for retry in told] == [2]


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


async def test_cancelling_ends_the_wait_before_a_retry(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 500}, {"text": "never"}])
    waiting = asyncio.Event()
    task = asyncio.create_task(make_models().reply(ASK, on_retry=lambda _: waiting.set()))
    await asyncio.wait_for(waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stub.left == 1
