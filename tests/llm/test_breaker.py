"""The breaker of a model endpoint and the fallback model, against real model servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage

from errors import ModelError, ModelUnavailable
from llm.breaker import Breaker
from llm.chat_model import Models, Retry
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import TOOLS

ASK: list[BaseMessage] = [HumanMessage("hello")]
PAUSE_S = 15.0
OUTAGES: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 503, "headers": {"Retry-After": "2"}},
    {"drop_after": 5, "text": "never complete"},
    {"bytes": "<html>not a model</html>", "type": "text/html"},
    {"text": ""},
    {"text": "late", "silent_s": 5},
]
ANSWERS: list[dict[str, Any]] = [
    {"text": "yes"},
    {"status": 429},
    {"status": 413},
    {"status": 401},
]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, failures: int = 3) -> Breaker:
    return Breaker(failures, PAUSE_S, clock)


async def ask(models: Models) -> str:
    try:
        return (await models.reply(ASK)).text
    except ModelError as error:
        return error.code


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
async def test_failures_in_a_row_open_it_and_a_probe_closes_it(
    stub: OpenAIStub, make_models: MakeModels, outage: dict[str, Any]
) -> None:
    clock = Clock()
    models = make_models(breaker=breaker(clock), max_retries=0, timeout_s=0.3 if "silent_s" in outage else 30)
    stub.script([outage, {"text": "fine"}, outage, outage, outage])
    for state in ("closed", "closed", "closed", "closed", "open"):
        await ask(models)
        assert models.breaker.state == state
    sent = len(stub.requests)
    clock.now += PAUSE_S - 4
    with pytest.raises(ModelUnavailable) as refused:
        await models.reply(ASK)
    assert len(stub.requests) == sent, "an open breaker sends nothing"
    assert refused.value.details["retry_after_s"] == 4
    assert refused.value.retryable
    clock.now += 4
    states = [models.breaker.state]
    stub.script([outage, {"text": "back"}])
    await ask(models)
    states.append(models.breaker.state)
    assert states == ["half_open", "open"], "the probe failed"
    clock.now += PAUSE_S
    assert (await ask(models), models.breaker.state) == ("back", "closed")


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_every_answer_of_the_server_counts_against_an_outage(
    stub: OpenAIStub, make_models: MakeModels, answer: dict[str, Any]
) -> None:
    models = make_models(breaker=breaker(Clock(), failures=2), max_retries=0)
    stub.script([{"status": 500}, answer, {"status": 500}, answer, answer, answer])
    for _ in range(6):
        await ask(models)
    assert models.breaker.state == "closed"
    assert stub.left == 0


async def test_one_call_at_a_time_probes(stub: OpenAIStub, make_models: MakeModels) -> None:
    clock = Clock()
    models = make_models(breaker=breaker(clock, failures=1), max_retries=0)
    stub.script([{"status": 500}, {"text": "back", "silent_s": 0.3}, *[{"text": "fine"}] * 20])
    await ask(models)
    clock.now += PAUSE_S
    sent = len(stub.requests)
    said = await asyncio.gather(*(ask(models) for _ in range(20)))
    assert sorted(said) == ["back", *["llm_unavailable"] * 19]
    assert len(stub.requests) == sent + 1
    assert await ask(models) == "fine"


async def test_a_cancelled_probe_lets_the_next_call_probe(stub: OpenAIStub, make_models: MakeModels) -> None:
    clock = Clock()
    models = make_models(breaker=breaker(clock, failures=1), max_retries=0)
    stub.script([{"status": 500}, {"text": "x", "hang": True}, {"text": "back"}])
    await ask(models)
    clock.now += PAUSE_S
    began = asyncio.Event()
    probe = asyncio.create_task(models.reply(ASK, on_text=lambda _: began.set()))
    await asyncio.wait_for(began.wait(), 10)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert models.breaker.state == "half_open"
    assert await ask(models) == "back"


async def test_retries_end_when_the_breaker_opens(stub: OpenAIStub, make_models: MakeModels) -> None:
    models = make_models(breaker=breaker(Clock(), failures=2), max_retries=9)
    stub.script([{"status": 500, "headers": {"Retry-After": "0"}}] * 10)
    told: list[Retry] = []
    with pytest.raises(ModelUnavailable) as failed:
        await models.reply(ASK, on_retry=told.append)
    assert (len(told), failed.value.details["attempts"], stub.left) == (1, 2, 8)
    assert failed.value.details["retry_after_s"] == PAUSE_S


async def test_zero_failures_switch_it_off(stub: OpenAIStub, make_models: MakeModels) -> None:
    models = make_models(breaker=Breaker(0), max_retries=0)
    stub.script([{"status": 500}] * 30)
    for _ in range(30):
        await ask(models)
    assert (models.breaker.state, stub.left) == ("closed", 0)


async def test_the_fallback_answers_for_a_server_that_fails(stub: OpenAIStub, make_models: MakeModels) -> None:
    other = make_models(model="other", max_retries=0)
    models = make_models(breaker=breaker(Clock(), failures=2), max_retries=0, fallback=other)
    stub.script([{"status": 500}, {"text": "one"}, {"status": 500}, {"text": "two"}, {"text": "three"}])
    told: list[Retry] = []
    assert [(await models.reply(ASK, on_retry=told.append)).text for _ in range(3)] == ["one", "two", "three"]
    assert [request["body"]["model"] for request in stub.requests] == ["m", "other", "m", "other", "other"]
    assert [(retry.code, retry.delay_s) for retry in told] == [("llm_unavailable", 0.0)] * 3
    assert (models.breaker.state, other.breaker.state) == ("open", "closed")


async def test_the_fallback_is_asked_the_same(stub: OpenAIStub, make_models: MakeModels) -> None:
    models = make_models(max_retries=0, fallback=make_models(model="other", max_retries=0))
    stub.script([{"status": 500}, {"text": "one"}])
    await models.reply(ASK, tools=TOOLS, several_calls=True, tool_choice="auto", temperature=0.1)
    first, second = (request["body"] for request in stub.requests)
    assert {**first, "model": "other"} == second
    assert "parallel_tool_calls" not in second


@pytest.mark.parametrize("reply", [{"status": 413}, {"status": 401}], ids=str)
async def test_the_fallback_is_not_asked_about_a_refusal(
    stub: OpenAIStub, make_models: MakeModels, reply: dict[str, Any]
) -> None:
    models = make_models(max_retries=0, fallback=make_models(model="other", max_retries=0))
    stub.script([reply, {"text": "no"}])
    assert await ask(models) == "llm_unavailable"
    assert [request["body"]["model"] for request in stub.requests] == ["m"]


async def test_the_fallback_is_not_asked_after_text_was_shown(stub: OpenAIStub, make_models: MakeModels) -> None:
    models = make_models(max_retries=0, fallback=make_models(model="other", max_retries=0))
    stub.script([{"text": "one two three four", "drop_after": 600}, {"text": "no"}])
    shown: list[str] = []
    with pytest.raises(ModelError):
        await models.reply(ASK, on_text=shown.append)
    assert shown
    assert stub.left == 1
