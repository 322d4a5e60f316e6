"""The history checker finds every broken promise: each history here breaks one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.history import (
    Kind,
    Numbered,
    Stored,
    StoredMessage,
    StoredRun,
    Witness,
    ends,
    repeated_model_calls,
    violations,
)
from tests.ide import Chunk

Breaking = Callable[[Witness, Stored], Stored]


def chunk(kind: str, **fields: Any) -> Chunk:
    return {"type": kind, "is_final": False, "token": None, "content": None, "metadata": None, **fields}


def call(call_id: str = "c1") -> Chunk:
    return chunk("tool_call", call_id=call_id, tool_name="write_file", arguments={"path": "a"})


def done(outcome: str) -> Chunk:
    return chunk("done", metadata={"outcome": outcome})


def healthy() -> tuple[Witness, Stored]:
    """One turn with a call, answered in two requests."""
    log: list[Numbered] = [*enumerate(
        [
            call(), done("awaiting_tool"), chunk("assistant_message", token="Writ"),
            chunk("assistant_message", token="ten."),
            chunk("assistant_message", content="Written.", is_final=True), done("completed"),
        ],
        start=1,
    )]  # fmt: skip
    messages = [
        StoredMessage("user", "Write."),
        StoredMessage("assistant", "", calls=("c1",)),
        StoredMessage("tool", "ok", answers="c1"),
        StoredMessage("assistant", "Written."),
    ]
    witness = Witness("s", ["Write."], [*log], [log[:2], log[2:]], Counter({"write_file a": 1}))
    return witness, Stored(log, len(log), [StoredRun("r1", "q1", "completed", None, 0)], messages, [])


def test_a_history_that_keeps_every_promise() -> None:
    assert violations(*healthy()) == []


def lose_a_row(witness: Witness, stored: Stored) -> Stored:
    del witness.seen[2], witness.bodies[1]
    return replace(stored, log=[*stored.log[:2], *stored.log[3:]])


def miss_an_event(witness: Witness, stored: Stored) -> Stored:
    del witness.seen[1]
    return stored


def see_an_event_twice(witness: Witness, stored: Stored) -> Stored:
    witness.seen.insert(2, witness.seen[1])
    return stored


def see_events_in_another_order(witness: Witness, stored: Stored) -> Stored:
    witness.seen.reverse()
    return stored


def see_another_text(witness: Witness, stored: Stored) -> Stored:
    witness.seen[2] = (3, chunk("assistant_message", token="Read"))
    return stored


def miss_an_event_of_an_answer(witness: Witness, stored: Stored) -> Stored:
    del witness.bodies[1][1]
    return stored


def stream_another_text(witness: Witness, stored: Stored) -> Stored:
    log = [*stored.log[:3], (4, chunk("assistant_message", token="ing.")), *stored.log[4:]]
    witness.seen, witness.bodies = [*log], []
    return replace(stored, log=log)


def offer_a_call_again(witness: Witness, stored: Stored) -> Stored:
    log: list[Numbered] = [(1, call("c0")), *((number + 1, shown) for number, shown in stored.log)]
    witness.seen, witness.bodies = [*log], []
    return replace(stored, log=log, last_seq=len(log))


def offer_a_void_call_again(witness: Witness, stored: Stored) -> Stored:
    void = chunk("status", metadata={"status": "restarted", "from_seq": 1})
    log: list[Numbered] = [(1, call("c0")), (2, void), *((number + 2, shown) for number, shown in stored.log)]
    witness.seen, witness.bodies = [*log], []
    return replace(stored, log=log, last_seq=len(log))


def execute_a_call_again(witness: Witness, stored: Stored) -> Stored:
    witness.executed["write_file a"] += 1
    return stored


def lose_a_message(witness: Witness, stored: Stored) -> Stored:
    witness.said.append("And now?")
    return stored


def store_a_message_again(witness: Witness, stored: Stored) -> Stored:
    run = replace(stored.runs[0], id="r2")
    log = [*stored.log, (7, done("completed"))]
    witness.seen = [*log]
    return replace(
        stored, messages=[*stored.messages, stored.messages[0]], runs=[*stored.runs, run], log=log, last_seq=7
    )


def start_a_second_run(witness: Witness, stored: Stored) -> Stored:
    log = [*stored.log, (7, done("completed"))]
    witness.seen = [*log]
    return replace(stored, runs=[*stored.runs, replace(stored.runs[0], id="r2")], log=log, last_seq=7)


def leave_a_run(witness: Witness, stored: Stored) -> Stored:
    del witness.seen[5], witness.bodies[1]
    return replace(stored, runs=[replace(stored.runs[0], status="running")], log=stored.log[:5], last_seq=5)


def leave_a_call(_: Witness, stored: Stored) -> Stored:
    return replace(stored, open_calls=["c1"])


def fail_without_a_reason(witness: Witness, stored: Stored) -> Stored:
    log = [*stored.log[:5], (6, done("failed"))]
    witness.seen, witness.bodies = [*log], []
    return replace(stored, runs=[replace(stored.runs[0], status="failed", error="internal")], log=log)


def end_without_a_word(witness: Witness, stored: Stored) -> Stored:
    del witness.seen[5], witness.bodies[1]
    return replace(stored, log=stored.log[:5], last_seq=5)


def lose_a_result(_: Witness, stored: Stored) -> Stored:
    return replace(stored, messages=[*stored.messages[:2], stored.messages[3]])


def store_a_result_again(_: Witness, stored: Stored) -> Stored:
    return replace(stored, messages=[*stored.messages[:3], *stored.messages[2:]])


BREAKINGS: list[tuple[Breaking, Kind]] = [
    (lose_a_row, "lost"),
    (miss_an_event, "lost"),
    (see_an_event_twice, "doubled"),
    (see_events_in_another_order, "out of order"),
    (see_another_text, "differs"),
    (miss_an_event_of_an_answer, "out of order"),
    (stream_another_text, "text"),
    (offer_a_call_again, "offered twice"),
    (offer_a_void_call_again, "offered twice"),
    (execute_a_call_again, "executed twice"),
    (lose_a_message, "lost"),
    (store_a_message_again, "doubled"),
    (start_a_second_run, "doubled"),
    (leave_a_run, "stuck"),
    (leave_a_call, "stuck"),
    (fail_without_a_reason, "unanswered"),
    (end_without_a_word, "unanswered"),
    (lose_a_result, "lost"),
    (store_a_result_again, "doubled"),
]


@pytest.mark.parametrize(("breaking", "kind"), BREAKINGS, ids=[breaking.__name__ for breaking, _ in BREAKINGS])
def test_a_broken_promise_is_found(breaking: Breaking, kind: Kind) -> None:
    witness, stored = healthy()
    found = violations(witness, breaking(witness, stored))
    assert kind in [violation.kind for violation in found], found
    assert all(violation.told.startswith("s: ") for violation in found)


def test_the_end_of_a_repeated_result_is_no_end_of_a_turn() -> None:
    settled = chunk("status", metadata={"status": "already_settled", "call_id": "c1"})
    log: list[Numbered] = [(1, settled), (2, done("completed")), (3, done("awaiting_tool")), (4, done("failed"))]
    assert [*ends(log)] == [(4, "failed")]


def test_an_error_of_the_model_excuses_a_failed_turn_and_nothing_else() -> None:
    witness, stored = healthy()
    broken = fail_without_a_reason(witness, stored)
    witness.excused.add("llm_")
    assert violations(witness, replace(broken, runs=[replace(broken.runs[0], error="llm_timeout")])) == []
    assert [violation.kind for violation in violations(witness, broken)] == ["unanswered"]


def test_a_fault_costs_one_repeated_model_call_at_most() -> None:
    answered = Counter({"0": 1, "1": 2, "2": 1})
    assert repeated_model_calls(answered, 1, named="s") == []
    [found] = repeated_model_calls(answered, 0, named="s")
    assert found.kind == "model"
    assert repeated_model_calls(answered + Counter("1"), 1, named="s")
