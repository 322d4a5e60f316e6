"""A request that does not fit the context of a model, in the words of the servers (`tests/corpora/too_long.jsonl`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from errors import ContextTooLong
from llm.failure import is_too_long, refused

CORPUS = Path(__file__).parents[2] / "corpora" / "too_long.jsonl"
ROWS = [json.loads(row) for row in CORPUS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["said"][:40])
def test_a_refusal_says_whether_the_request_is_too_long(row: dict[str, str | bool]) -> None:
    body = json.dumps({"error": {"message": row["said"], "type": "invalid_request_error"}})
    failure = refused(400, body)
    assert isinstance(failure.error, ContextTooLong) == row["too_long"]
    assert (failure.refusal is None) == row["too_long"], "what is not too long may name a field"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("said", ["prompt (", "maximum ", "input tokens ", "a"])
def test_a_long_text_is_not_searched_whole(said: str) -> None:
    assert not is_too_long(said * 2_000_000)
