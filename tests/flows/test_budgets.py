"""Budgets in tokens and money: a used-up one is asked about before the next model call, once, and the answer holds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.cluster import Cluster
from tests.databases import PostgresServer
from tests.ide import Chunks, Ide, answer_of, error_of, only, outcome_of
from tests.openai_stub import OpenAIStub
from tests.running import api_client, talking

Talk = Callable[..., Ide]
READ = {"tool": "read_file", "args": {"path": "a.py"}, "id": "r1"}
PRICES = "[models]\nscripted = { input = 1000, cached = 100, output = 2000 }\n"
"""USD per million tokens."""


def usage(prompt: int, completion: int, **more: int) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


@pytest.fixture
def talk(db_url: str, stub: OpenAIStub) -> Iterator[Talk]:
    """Sessions of one server with the budgets of the test; nothing but agents spends, unless the test says so."""
    open_: list[Any] = []

    def start(*, owner: str = "ann", **settings: Any) -> Ide:
        if not open_:
            context = talking(db_url, stub, **settings)
            open_.extend([context, context.__enter__()])
        client = open_[1]
        client.headers["X-End-User"] = owner
        return Ide(client)

    yield start
    if open_:
        open_[0].__exit__(None, None, None)


def asked(chunks: Chunks) -> dict[str, Any]:
    """The budget question that these chunks end with."""
    assert outcome_of(chunks) == "awaiting_answer", chunks
    question = chunks[-2]
    assert question["type"] == "assistant_message", chunks
    assert question["metadata"]["suggestions"] == ["yes", "no"]
    found: dict[str, Any] = question
    return found


def settings_asked_about(chunks: Chunks) -> list[str]:
    return [budget["setting"] for budget in asked(chunks)["metadata"]["budgets"]]


def test_a_turn_pauses_before_the_model_call_beyond_its_budget_and_goes_on_with_more(
    talk: Talk, stub: OpenAIStub
) -> None:
    ide = talk(budget_tokens_per_turn=100)
    stub.script([{**READ, **usage(90, 20)}, {**READ, "id": "r2", **usage(90, 9)}, {"text": "Done.", **usage(1, 1)}])
    ide.say("Read", agent_type="coder")
    calls = len(stub.requests)
    question = asked(ide.result("r1"))
    assert "This turn has used 110 of 100 tokens." in question["content"]
    assert question["metadata"]["budgets"] == [
        {
            "setting": "budget_tokens_per_turn",
            "scope": "turn",
            "unit": "tokens",
            "used": 110,
            "allowed": 100,
            "more": 100,
        }
    ]
    assert len(stub.requests) == calls, "no model call beyond the budget"
    assert ide.status() == "awaiting_answer"
    assert outcome_of(ide.say("yes")) == "awaiting_tool", "the turn goes on where it was"
    assert answer_of(ide.result("r2")) == "Done.", "209 of 210 tokens: one more call is allowed"
    assert stub.violations == []
    [entry] = [e for e in ide.audit() if e["event"] == "budget_decided"]
    assert (entry["actor"], entry["details"]["decision"]) == ("user", "approve")
    history = [(m["role"], m["content"]) for m in ide.history() if m["role"] != "tool"]
    assert ("assistant", question["content"]) in history
    assert ("user", "yes") in history
    texts = str([request["body"]["messages"] for request in stub.requests])
    assert question["content"] not in texts, "the model reads neither the question nor its answer"
    assert '"yes"' not in texts


@pytest.mark.parametrize("word", ["no", "Нет.", "reject"])
def test_a_no_ends_the_turn_with_an_error_and_the_next_turn_has_its_own_budget(
    word: str, talk: Talk, stub: OpenAIStub
) -> None:
    ide = talk(budget_tokens_per_turn=100)
    stub.script([{**READ, **usage(90, 20)}, {"text": "Hello.", **usage(5, 5)}])
    ide.say("Read", agent_type="coder")
    asked(ide.result("r1"))
    chunks = ide.say(word)
    assert outcome_of(chunks) == "failed"
    told = only(chunks, "error")["metadata"]
    assert (told["code"], told["retryable"], told["limit"]) == ("limit_reached", False, "budget_tokens_per_turn")
    assert ide.status() == "idle"
    assert answer_of(ide.say("Hello")) == "Hello."
    assert stub.violations == []


def test_another_message_is_no_answer_but_a_turn_of_its_own(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_turn=100)
    stub.script([{**READ, **usage(90, 20)}, {"text": "Hello.", **usage(5, 5)}])
    ide.say("Read", agent_type="coder")
    asked(ide.result("r1"))
    assert answer_of(ide.say("Just say hello")) == "Hello."
    assert [e["details"]["by"] for e in ide.audit() if e["event"] == "call_superseded"] == ["message"]
    assert stub.violations == []


def test_a_session_is_asked_once_for_each_amount_over_all_its_turns(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=100)
    stub.script([{"text": f"Answer {n}.", **usage(50, 10)} for n in range(6)])
    assert answer_of(ide.say("One", agent_type="coder")) == "Answer 0."
    assert answer_of(ide.say("Two")) == "Answer 1.", "60 of 100 are used before it"
    assert settings_asked_about(ide.say("Three")) == ["budget_tokens_per_session"]
    assert answer_of(ide.say("yes")) == "Answer 2.", "the message that waited is answered"
    assert answer_of(ide.say("Four")) == "Answer 3.", "180 of 220"
    assert settings_asked_about(ide.say("Five")) == ["budget_tokens_per_session"]
    other = talk()
    assert answer_of(other.say("Six", agent_type="coder")) == "Answer 4.", "another session has its own"


def test_an_owners_sessions_share_a_budget_that_a_deletion_does_not_refill(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_owner=100, budget_owner_days=1)
    stub.script([{"text": f"Answer {n}.", **usage(100, 10)} for n in range(3)])
    ide.say("One", agent_type="coder")
    assert ide.client.delete(ide.path, params={"hard": "true"}).status_code == 200
    second, third = talk(), talk()
    question = asked(second.say("Two", agent_type="coder"))
    assert "All your sessions together have used 110 of 100 tokens today." in question["content"]
    assert settings_asked_about(third.say("Three", agent_type="coder")) == ["budget_tokens_per_owner"]
    assert answer_of(second.say("yes")) == "Answer 1.", "210 are allowed now"
    assert settings_asked_about(third.say("yes")) == ["budget_tokens_per_owner"], "220 of 210: a yes adds up once"
    assert answer_of(talk(owner="bob").say("Four", agent_type="coder")) == "Answer 2.", "another owner's is untouched"


def test_one_question_names_every_budget_that_is_used_up(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_turn=50, budget_tokens_per_session=60, budget_tokens_per_owner=70)
    stub.script([{**READ, **usage(90, 20)}, {"text": "Done.", **usage(1, 1)}])
    ide.say("Read", agent_type="coder")
    assert settings_asked_about(ide.result("r1")) == [
        "budget_tokens_per_turn",
        "budget_tokens_per_session",
        "budget_tokens_per_owner",
    ]
    assert answer_of(ide.say("yes")) == "Done."


def test_money_counts_by_the_prices_file_and_cached_tokens_cost_less(
    talk: Talk, stub: OpenAIStub, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    ide = talk(budget_usd_per_session=0.12, llm_prices_file=prices)
    cached = {"prompt_tokens_details": {"cached_tokens": 50}}
    reply = {"usage": {"prompt_tokens": 100, "completion_tokens": 10, **cached}}
    stub.script([{"text": f"Answer {n}.", **reply} for n in range(3)])
    assert answer_of(ide.say("One", agent_type="coder")) == "Answer 0."
    assert answer_of(ide.say("Two")) == "Answer 1.", "0.075 of 0.12"
    question = asked(ide.say("Three"))
    assert "This session has used $0.1500 of $0.1200." in question["content"]
    assert question["metadata"]["budgets"][0]["used"] == pytest.approx(0.15)


def test_the_classifier_is_asked_about_too_and_routes_after_the_answer(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=5000)
    stub.script([{"text": "One.", **usage(5000, 10)}, {"text": "Two."}])
    ide.say("One", agent_type="coder")
    ide.send({"type": "switch_agent", "agent_type": "orchestrator"})
    stub.classify = {"is_atomic": True, "agent": "debug", "confidence": "high", "reason": "it is a bug"}
    calls = len(stub.requests)
    asked(ide.say("Why does it fail?"))
    assert len(stub.requests) == calls, "the classifier was not asked"
    chunks = ide.say("yes")
    assert only(chunks, "agent_switched")["metadata"]["to_agent"] == "debug"
    assert answer_of(chunks) == "Two."
    routed = [request for request in stub.requests[calls:] if request["is_classifier"]]
    assert "Why does it fail?" in str(routed[0]["body"]["messages"][-1]), "the request is routed, not the answer"


def test_a_reply_without_a_usage_is_estimated(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=100)
    stub.script([{"text": "word " * 200, "usage": None}, {"text": "Two."}])
    ide.say("One", agent_type="coder")
    assert asked(ide.say("Two"))["metadata"]["budgets"][0]["used"] > 200


def test_version_1_sees_the_question_and_answers_it_by_a_message(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=100)
    ide.version = 1
    stub.script([{"text": "One.", **usage(100, 10)}, {"text": "Two."}])
    ide.say("One", agent_type="coder")
    [question] = ide.say("Two")
    assert (question["type"], question["is_final"]) == ("assistant_message", True)
    assert question["content"].endswith("Go on with the same amount once more?")
    assert ide.say("да")[-1]["content"] == "Two."


def test_a_cancel_ends_the_question(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=100)
    stub.script([{"text": "One.", **usage(100, 10)}, {"text": "Two."}])
    ide.say("One", agent_type="coder")
    asked(ide.say("Two"))
    assert ide.client.post(f"{ide.path}/cancel").json()["cancelled"] is True
    assert ide.status() == "idle"
    assert [m["role"] for m in ide.history()] == ["user", "assistant", "user", "assistant"], "no tool message"
    assert settings_asked_about(ide.say("Three")) == ["budget_tokens_per_session"]
    assert answer_of(ide.say("yes")) == "Two."
    assert stub.violations == []


def test_a_question_of_a_session_is_listed_as_waiting_and_is_no_tool_call(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_session=100)
    stub.script([{"text": "One.", **usage(100, 10)}, {"text": "Two."}])
    ide.say("One", agent_type="coder")
    question = asked(ide.say("Two"))
    [row] = ide.client.get("/pending").json()["pending"]
    assert (row["request_type"], row["subject"]) == ("question", question["content"])
    assert row["question"] == {"question": question["content"], "suggestions": ["yes", "no"]}
    assert ide.refused({"type": "tool_result", "call_id": row["call_id"], "result": "yes"})["code"] == "call_unknown"
    assert ide.refused({"type": "hitl_decision", "call_id": row["call_id"], "decision": "approve"})["code"] == (
        "approval_not_required"
    )
    assert ide.approvals() == []
    assert ide.audit() == [], "no verdict, no call"
    metrics = ide.client.get("/metrics").text
    assert 'tool="budget"' not in metrics
    assert answer_of(ide.say("yes")) == "Two."
    assert 'tool="budget"' not in ide.client.get("/metrics").text


def test_a_subtask_pauses_too_and_a_no_fails_the_plan(talk: Talk, stub: OpenAIStub) -> None:
    ide = talk(budget_tokens_per_turn=100)
    steps = [
        {"title": "A", "description": "do a", "agent": "coder", "estimated_time_minutes": 1},
        {"title": "B", "description": "do b", "agent": "coder", "estimated_time_minutes": 1},
    ]
    plan = {"title": "P", "description": "p", "subtasks": steps}
    stub.script([{"tool": "create_plan", "args": plan, "id": "p1", **usage(10, 1)}, {"text": "A.", **usage(100, 1)}])
    chunks = ide.say("Plan it", agent_type="architect")
    chunks = ide.approve_plan(chunks)
    assert only(chunks, "subtask_completed")["metadata"]["status"] == "completed"
    asked(chunks)
    chunks = ide.say("no")
    assert only(chunks, "execution_completed")["metadata"]["status"] == "failed"
    assert error_of(chunks) == "limit_reached"


def test_an_open_question_survives_a_restart_and_is_not_asked_again(db_url: str, stub: OpenAIStub) -> None:
    settings = {"budget_tokens_per_session": 100}
    stub.script([{**READ, **usage(100, 10)}, {**READ, "id": "r2", **usage(10, 1)}, {"text": "Done."}])
    with talking(db_url, stub, **settings) as client:
        ide = Ide(client)
        ide.say("Read", agent_type="coder")
        asked(ide.result("r1"))
    with talking(db_url, stub, **settings) as client:
        again = Ide(client, session_id=ide.session_id)
        assert outcome_of(again.say("yes")) == "awaiting_tool"
    with talking(db_url, stub, **settings) as client:
        assert answer_of(Ide(client, session_id=ide.session_id).result("r2")) == "Done."
    assert stub.violations == []


async def test_an_answer_outlives_the_process_that_took_it(postgres: PostgresServer, stub: OpenAIStub) -> None:
    settings: dict[str, Any] = {"llm_model": "scripted", "llm_proxy_url": stub.url, "budget_tokens_per_session": 100}
    stub.script([{"text": "One.", **usage(100, 10)}, {"text": "Never ended", "hang": True}, {"text": "Two."}])
    with postgres.database() as url:
        async with Cluster(url, 2, **settings) as cluster:
            first, second = cluster.instances
            with api_client(first.url) as client, api_client(second.url) as other:
                ide, again = Ide(client, session_id="s"), Ide(other, session_id="s")
                await asyncio.to_thread(ide.say, "One", agent_type="coder")
                asked(await asyncio.to_thread(ide.say, "Two"))
                answering = asyncio.create_task(asyncio.to_thread(ide.say, "yes"))
                await until(lambda: stub.agent_calls == 2)
                first.kill()
                with contextlib.suppress(httpx.TransportError):
                    await answering
                await until(lambda: again.status() == "idle")
                assert again.history()[-1]["content"] == "Two.", "taken over, and not asked again"
                assert [e["event"] for e in again.audit() if e["event"].startswith("budget")] == ["budget_decided"]


async def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(fact):
        assert time.monotonic() < deadline, "it did not become true"
        await asyncio.sleep(0.05)
