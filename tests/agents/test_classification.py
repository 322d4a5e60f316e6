"""The classifier's reply is read without trust, and the keyword fallback is measured on labelled requests."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agents.classification import (
    CLASSIFICATION_SCHEMA,
    MAX_REASON_CHARS,
    Classification,
    classify_by_keywords,
    read_classification,
)
from agents.roster import ROSTER
from routing.keywords import find_cues
from routing.lexicon import lexicon
from routing.terse import Spoken

CORPORA = Path(__file__).parent.parent / "corpora"
ASKED = ("coder", "debug", "ask", "architect")
HARMLESS = ("ask", "architect")


def reply(**fields: Any) -> str:
    return json.dumps({"is_atomic": True, "agent": "code", "confidence": "high", "reason": "because", **fields})


@pytest.mark.parametrize(
    ("said", "agent"),
    [
        ("code", "coder"),
        ("plan", "architect"),
        ("debug", "debug"),
        ("explain", "ask"),
        ("coder", "coder"),
        ("architect", "architect"),
        ("ask", "ask"),
        ("universal", "coder"),
        (" Explain ", "ask"),
    ],
)
def test_both_label_sets_are_understood(said: str, agent: str) -> None:
    assert read_classification(reply(agent=said)) == Classification(agent, "high", "because", "llm")


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"agent": "debug", "confidence": "medium", "reasoning": "a crash"}\n```',
        'Sure! Here it is: {"agent": "debug", "confidence": "medium", "reasoning": "a crash"} Anything else?',
        '{"note": 1} {"agent": "debug", "confidence": "MEDIUM", "reason": "a  crash"}',
        'a { brace, then {"is_atomic": "True", "agent": "debug", "confidence": "medium", "reason": "a crash"}',
    ],
)
def test_reply_is_found_raw_fenced_or_in_prose(text: str) -> None:
    assert read_classification(text) == Classification("debug", "medium", "a crash", "llm")


@pytest.mark.parametrize("is_atomic", [False, "False", "false"])
def test_not_atomic_is_the_architects_or_nonsense(is_atomic: object) -> None:
    assert read_classification(reply(is_atomic=is_atomic, agent="code")) is None
    plan = read_classification(reply(is_atomic=is_atomic, agent="plan"))
    assert plan is not None
    assert plan.agent == "architect"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "coder",
        "{}",
        "[]",
        "null",
        '{"agent": null}',
        '{"agent": "orchestrator"}',
        '{"agent": ["code"]}',
        "{" * 9999,
    ],
)
def test_nonsense_is_none(text: str) -> None:
    assert read_classification(text) is None


def test_reason_is_short_and_confidence_is_one_of_three() -> None:
    long = read_classification(reply(reason="x" * 5000, confidence="very"))
    assert long is not None
    assert len(long.reason) == MAX_REASON_CHARS
    assert long.confidence == "low"
    odd = read_classification(reply(reason=["no"], confidence=None))
    assert odd == Classification("coder", "low", "", "llm")


@given(st.text(alphabet=st.characters(), max_size=300))
def test_no_text_breaks_the_reader_or_the_keywords(text: str) -> None:
    read_classification(text)
    assert classify_by_keywords(text).agent in ROSTER


@pytest.mark.parametrize("text", ["a" * 50_000, "{" * 50_000, '{"a":' * 9_000, "/a" * 30_000, "how to " * 9_000])
@pytest.mark.timeout(5)
def test_long_texts_are_read_in_bounded_time(text: str) -> None:
    read_classification(text)
    classify_by_keywords(text)


def test_schema_accepts_what_the_reader_reads() -> None:
    Draft202012Validator.check_schema(CLASSIFICATION_SCHEMA)
    assert Draft202012Validator(CLASSIFICATION_SCHEMA).is_valid(json.loads(reply()))
    assert CLASSIFICATION_SCHEMA["properties"]["agent"]["enum"] == ["code", "plan", "debug", "explain"]


@pytest.mark.parametrize(
    "text",
    [
        "create application",
        "Create an app for walking dogs",
        "build system",
        "implement feature",
        "several components",
        "создай приложение",
        "мобильное приложение с логином",
        "реализуй систему заказов",
        "разработай сервис",
        "полная реализация",
        "Create a login app with form, validation and backend",
        "create an application with login and registration",
        "develop a blog with comments and an admin panel",
        "implement a chat server with rooms, history and a React client",
        "Set up a project with a FastAPI backend, Postgres and a Vue frontend",
        "Создай форум с модерацией и поиском",
    ],
)
def test_tasks_of_several_steps_go_to_the_architect_and_owe_a_plan(text: str) -> None:
    assert classify_by_keywords(text) == Classification(
        "architect", "low", "Keyword-based: Complex task detected, requires planning", "keywords", is_atomic=False
    )


@pytest.mark.parametrize("text", ["design system", "Write an ADR about SQLite", "Опиши архитектуру в docs/arch.md"])
def test_a_document_or_a_design_owes_no_plan(text: str) -> None:
    assert classify_by_keywords(text) == Classification(
        "architect", "low", "Keyword-based: Complex task detected, requires planning", "keywords"
    )


def test_short_requests_are_read_with_the_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    lines = (CORPORA / "routing_conversations.jsonl").read_text(encoding="utf-8").splitlines()
    right: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    harm: list[str] = []
    for row in map(json.loads, lines):
        earlier = [Spoken(said["role"] == "user", said["text"]) for said in row.get("earlier", [])]
        chosen = classify_by_keywords(row["text"], earlier)
        rows[row["kind"]] += 1
        owes_as_expected = row.get("plan") in (None, not chosen.is_atomic)
        right[row["kind"]] += chosen.agent == row["expect"] and owes_as_expected
        if row["expect"] in HARMLESS and chosen.agent == "coder":
            harm.append(row["text"])
    with capsys.disabled():
        print("\nrouting_conversations.jsonl: " + ", ".join(f"{kind} {right[kind]}/{n}" for kind, n in rows.items()))
    assert all(right[kind] / n >= 0.95 for kind, n in rows.items()), dict(right)
    assert len(harm) / rows.total() <= 0.05, harm


@pytest.mark.parametrize(
    ("text", "agent", "label"),
    [
        ("write lib/a.dart", "coder", "code"),
        ("please write code", "coder", "code"),
        ("run ls", "coder", "code"),
        ("fix the bug", "debug", "debug"),
        ("why not working", "debug", "debug"),
        ("отладь", "debug", "debug"),
        ("explain things", "ask", "explain"),
        ("What is a closure?", "ask", "explain"),
        ("hello", "ask", "explain"),
        ("", "ask", "explain"),
    ],
)
def test_atomic_tasks_name_their_agent(text: str, agent: str, label: str) -> None:
    reason = f"Keyword-based: Atomic task for {label} agent"
    assert classify_by_keywords(text) == Classification(agent, "low", reason, "keywords")


@pytest.mark.parametrize(
    "text",
    [
        "What is a race condition and how do debuggers find one?",
        "Explain how to fix a circular import.",
        "How do I create and delete a branch?",
        "Just explain the code in auth.py, don't modify it.",
        "Подскажи, как создать ветку и удалить её потом?",
        "Что делает кнопка «Удалить»?",
    ],
)
def test_words_of_code_in_a_question_do_not_make_it_an_order(text: str) -> None:
    assert classify_by_keywords(text).agent == "ask"


@pytest.mark.parametrize(
    "text",
    [
        "Add an error message to the form.",
        "Could you rename it?",
        "Explain what a debouncer is, then use one in the search box.",
        "Добавь кнопку «Объяснить».",
        "Не мог бы ты вынести это в класс?",
    ],
)
def test_orders_stay_orders(text: str) -> None:
    assert classify_by_keywords(text).agent == "coder"


def test_every_cue_of_the_data_speaks_for_an_agent() -> None:
    assert {cue.agent for cue in lexicon().cues.values()} == set(ASKED)
    assert find_cues("hm") == {"smalltalk"}


@pytest.mark.parametrize(
    ("corpus", "least_accuracy"),
    [("routing_dev.jsonl", 0.95), ("routing_own.jsonl", 0.95)],
)
def test_keywords_reach_their_goals(corpus: str, least_accuracy: float, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (CORPORA / corpus).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    answers = [(row["lang"], row["expect"], classify_by_keywords(row["text"]).agent) for row in rows]
    for lang in ("en", "ru"):
        pairs = Counter((expect, got) for where, expect, got in answers if where == lang)
        right = sum(count for (expect, got), count in pairs.items() if expect == got)
        asked = sum(count for (expect, _), count in pairs.items() if expect in HARMLESS)
        harm = sum(count for (expect, got), count in pairs.items() if expect in HARMLESS and got == "coder")
        with capsys.disabled():
            print(f"\n{corpus} {lang}: {right}/{pairs.total()} right, harm {harm}/{asked}")
            print("expected \\ got " + "".join(f"{got:>10}" for got in ASKED))
            for expect in ASKED:
                print(f"{expect:<15}" + "".join(f"{pairs[expect, got]:>10}" for got in ASKED))
        assert right / pairs.total() >= least_accuracy
        assert harm / asked <= 0.1
