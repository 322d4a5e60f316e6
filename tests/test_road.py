"""The road of one message is as short as ARCHITECTURE.md says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.road import trace_plain_answer, trace_tool_turn

PAGE = (Path(__file__).parent.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
SLACK = 4
"""Statements: a slow machine appends to the log once more in every turn, which takes four on SQLite."""


def test_a_plain_answer_visits_no_more_than_the_page_says(db_url: str) -> None:
    told = re.search(
        r"run in (\d+) files.*?(\d+) on PostgreSQL.*?(\d+)\s+SQL statements on SQLite.*?(\d+) on PostgreSQL", PAGE, re.S
    )
    assert told is not None, "ARCHITECTURE.md states the figures"
    road = trace_plain_answer(db_url)
    files, statements = (told[1], told[3]) if db_url.startswith("sqlite") else (told[2], told[4])
    assert len(road.files) <= int(files), "\n".join(road.files)
    assert road.statements <= int(statements) + SLACK
    assert len(road.files) > 20, "the trace saw nothing"
    assert road.statements > 3, "the trace saw no statements"


def test_a_turn_with_a_tool_takes_no_more_statements_than_the_page_says(db_url: str) -> None:
    told = re.search(r"A turn with one tool call takes (\d+) on SQLite and (\d+) on PostgreSQL", PAGE)
    assert told is not None, "ARCHITECTURE.md states the figures"
    road = trace_tool_turn(db_url)
    assert road.statements <= int(told[1 if db_url.startswith("sqlite") else 2]) + SLACK
    assert road.statements > 8, "the trace saw no statements"
