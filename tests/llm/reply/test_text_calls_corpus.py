"""Replies with calls in their text: those of small models are calls, those that show a call to a reader are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.replies.ask_model import asks_to_show_call
from llm.reply.text import ReplyText
from tools.catalog import TOOLS

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "corpora" / "text_calls.jsonl").read_text(encoding="utf-8").splitlines()
]
TAKEN = [row for row in ROWS if row["taken"]]
SHOWN = [row for row in ROWS if not row["taken"]]
MIN_ROWS = 60
MIN_TAKEN = 0.95


def read(row: dict[str, Any], size: int, *, text_calls: bool = True) -> ReplyText:
    """Play a row in pieces of `size` characters to a session whose model has made no native call."""
    text_calls = text_calls and not asks_to_show_call(row["request"])
    shown: list[str] = []
    reply = ReplyText([tool.name for tool in TOOLS], shown.append, text_calls=text_calls)
    text = row["text"]
    for start in range(0, len(text), size):
        reply.feed(text[start : start + size])
    reply.close()
    assert "".join(shown) == reply.text
    return reply


def test_the_corpus_is_large_enough() -> None:
    assert min(len(TAKEN), len(SHOWN)) >= MIN_ROWS


@pytest.mark.parametrize("size", [1, 4, 10_000])
def test_a_call_that_is_shown_to_a_reader_is_never_taken(size: int) -> None:
    for row in SHOWN:
        reply = read(row, size)
        assert reply.calls == [], row["text"]
        assert reply.text == row["text"]


@pytest.mark.parametrize("size", [1, 4, 10_000])
def test_calls_of_small_models_are_taken(size: int) -> None:
    missed = []
    for row in TAKEN:
        found = [[call.name, call.arguments] for call in read(row, size).calls]
        if found != row["calls"]:
            missed.append((row["source"], row["text"], found))
    assert len(missed) <= (1 - MIN_TAKEN) * len(TAKEN), missed


def test_what_is_taken_is_not_shown_and_the_announcement_is() -> None:
    for row in TAKEN:
        reply = read(row, 3)
        if reply.calls:
            assert row["text"].lstrip().startswith(reply.text.strip())
            assert reply.text.strip() == "" or len(reply.text) < len(row["text"]) - 10


@pytest.mark.parametrize("size", [1, 10_000])
def test_nothing_is_taken_from_a_model_that_calls_natively(size: int) -> None:
    for row in ROWS:
        reply = read(row, size, text_calls=False)
        assert (reply.calls, reply.text) == ([], row["text"] if row["text"].strip() else "")
