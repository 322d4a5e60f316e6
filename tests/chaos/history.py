"""The history checker: what a client did and saw, and what the database holds, compared with what was promised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from tests.ide import Chunk
from wire.chunks import unpack

Numbered = tuple[int, Chunk]
Kind = Literal[
    "lost",
    "doubled",
    "out of order",
    "differs",
    "text",
    "unanswered",
    "stuck",
    "offered twice",
    "executed twice",
    "model",
]
ENDED = ("completed", "failed", "cancelled")
OPEN_STATES = ("pending", "approved", "edited", "executing")


@dataclass(frozen=True)
class Violation:
    """One broken promise, in words that name the session."""

    kind: Kind
    told: str


@dataclass
class Witness:
    """What the client of one session did and saw."""

    session_id: str
    said: list[str] = field(default_factory=list)
    """The user messages that were accepted, in order; each text is its own."""
    seen: list[Numbered] = field(default_factory=list)
    """What the reader that follows the session saw, over all its connections."""
    bodies: list[list[Numbered]] = field(default_factory=list)
    """The answers that were read to their ends, one list for each request."""
    executed: Counter[str] = field(default_factory=Counter)
    """How often each call was executed: by what it does, not by its id."""
    excused: set[str] = field(default_factory=set)
    """How the codes of errors begin with which a turn may end: the model was down, the session could not be stored."""


@dataclass(frozen=True)
class StoredRun:
    """One row of `runs`."""

    id: str
    request_id: str
    status: str
    error: str | None
    tries: int


@dataclass(frozen=True)
class StoredMessage:
    """One row of `messages`."""

    role: str
    content: str
    answers: str | None = None
    """The call that a tool message answers."""
    calls: tuple[str, ...] = ()
    """The ids of the calls that the message makes."""


@dataclass(frozen=True)
class Stored:
    """What the database holds of one session."""

    log: list[Numbered]
    last_seq: int
    runs: list[StoredRun]
    messages: list[StoredMessage]
    open_calls: list[str]
    model_calls: int = 0


def violations(witness: Witness, stored: Stored) -> list[Violation]:
    """Every broken promise in the history of one session, once nothing runs in it any more."""
    named = f"{witness.session_id}: "
    found = [
        *_events(witness, stored),
        *_bodies(witness, stored),
        *texts_and_offers(stored.log),
        *_answers(witness, stored),
        *calls_and_results(stored.messages),
        *_executions(witness),
    ]
    return [Violation(violation.kind, named + violation.told) for violation in found]


def _events(witness: Witness, stored: Stored) -> Iterator[Violation]:
    """Each event is stored once, without gaps, and was seen once, in order, as it is stored."""
    numbers = [number for number, _ in stored.log]
    if numbers != list(range(1, stored.last_seq + 1)):
        yield Violation("lost", f"the table holds {len(numbers)} events up to {stored.last_seq}")
    seen = [number for number, _ in witness.seen]
    for number, count in Counter(seen).items():
        if count > 1:
            yield Violation("doubled", f"event {number} was seen {count} times")
    if missing := sorted(set(numbers) - set(seen)):
        yield Violation("lost", f"the events {missing} were never seen")
    if seen != sorted(seen):
        yield Violation("out of order", f"events came as {seen}")
    yield from _different(witness.seen, dict(stored.log))


def _different(seen: Sequence[Numbered], stored: dict[int, Chunk]) -> Iterator[Violation]:
    for number, chunk in seen:
        if stored.get(number) != chunk:
            yield Violation("differs", f"event {number} was seen as {chunk} and is stored as {stored.get(number)}")


def _bodies(witness: Witness, stored: Stored) -> Iterator[Violation]:
    """The answer to a request is a part of the log without gaps."""
    log = dict(stored.log)
    for body in witness.bodies:
        numbers = [number for number, _ in body]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            yield Violation("out of order", f"the answer to a request held the events {numbers}")
        yield from _different(body, log)


def view(log: Sequence[Numbered]) -> list[Chunk]:
    """What an attentive client shows: the log without what was declared void."""
    shown: list[Numbered] = []
    for number, chunk in log:
        metadata = chunk.get("metadata") or {}
        if chunk["type"] == "status" and metadata.get("status") == "restarted":
            shown = [item for item in shown if item[0] < metadata["from_seq"]]
        else:
            shown.append((number, chunk))
    return [chunk for _, chunk in shown]


def deed(chunk: Chunk) -> str:
    """What a call does, by which two calls with different ids are the same."""
    return f"{chunk['tool_name']} {json.dumps(chunk['arguments'], sort_keys=True)}"


def texts_and_offers(log: Sequence[Numbered], *, by_deed: bool = True) -> Iterator[Violation]:
    """Deltas add up to the message that ends them, and no call is offered twice, not even in what became void."""
    text = ""
    for chunk in view(log):
        if chunk["type"] == "assistant_message" and not chunk["is_final"]:
            text += chunk["token"]
        elif chunk["type"] == "assistant_message":
            if text != chunk["content"]:
                yield Violation("text", f"{text!r} was streamed, {chunk['content']!r} is final")
            text = ""
        elif chunk["type"] == "error":
            text = ""  # the model broke off; the error says so
    if text:
        yield Violation("text", f"{text!r} was never ended")
    offered = [chunk for _, chunk in log if chunk["type"] == "tool_call"]
    for name, count in Counter(deed(c) if by_deed else c["call_id"] for c in offered).items():
        if count > 1:
            yield Violation("offered twice", f"{name} was offered {count} times")


def ends(log: Sequence[Numbered]) -> Iterator[tuple[int, str]]:
    """The ends of turns, by number and outcome; that of a request which only tells how a call stands is none."""
    tells_of_a_call = False
    for number, chunk in log:
        if chunk["type"] == "done" and chunk["metadata"]["outcome"] in ENDED and not tells_of_a_call:
            yield number, chunk["metadata"]["outcome"]
        tells_of_a_call = chunk["type"] == "status" and "call_id" in (chunk["metadata"] or {})


def _answers(witness: Witness, stored: Stored) -> Iterator[Violation]:
    """Each accepted message is in the history once, in order, and has one run, whose end the client was told."""
    asked = [message.content for message in stored.messages if message.role == "user"]
    if missing := [content for content in witness.said if content not in asked]:
        yield Violation("lost", f"accepted and not in the history: {missing}")
    for content, count in Counter(asked).items():
        if count > 1:
            yield Violation("doubled", f"the history holds {content!r} {count} times")
    if not missing and [content for content in asked if content in witness.said] != witness.said:
        yield Violation("out of order", f"said {witness.said}, in the history {asked}")
    if len(stored.runs) != len(asked):
        yield Violation("doubled", f"{len(stored.runs)} runs for {len(asked)} messages")
    told = Counter(outcome for _, outcome in ends(stored.log))
    for run in stored.runs:
        if run.status not in ENDED:
            yield Violation("stuck", f"run {run.id} is {run.status}")
        elif run.status != "completed" and not (run.error or "").startswith((*witness.excused,)):
            yield Violation("unanswered", f"run {run.id} is {run.status}: {run.error}")
    for status, count in Counter(run.status for run in stored.runs if run.status in ENDED).items():
        if told[status] != count:
            yield Violation("unanswered", f"{count} runs are {status}, and {told[status]} times the client was told so")
    if stored.open_calls:
        yield Violation("stuck", f"open calls: {stored.open_calls}")


def calls_and_results(messages: Sequence[StoredMessage]) -> Iterator[Violation]:
    """Every call of the history has its one result before the next message."""
    left: list[str] = []
    for message in messages:
        if message.role == "tool" and message.answers in left:
            left.remove(message.answers)
            continue
        if message.role == "tool":
            yield Violation("doubled", f"a result for no open call: {message.answers}")
            continue
        if left:
            yield Violation("lost", f"calls without a result before the next message: {left}")
        left = [*message.calls]
    if left:
        yield Violation("lost", f"calls without a result at the end: {left}")


def _executions(witness: Witness) -> Iterator[Violation]:
    for name, count in witness.executed.items():
        if count > 1:
            yield Violation("executed twice", f"{name} was executed {count} times")


def repeated_model_calls(answered: Counter[str], faults: int, *, named: str) -> list[Violation]:
    """A run that met so many faults asked the model at most as often again; `answered` counts by place in the turn."""
    repeated = sum(answered.values()) - len(answered)
    if repeated <= faults:
        return []
    return [Violation("model", f"{named}: {repeated} repeated model calls for {faults} faults: {dict(answered)}")]


async def read_stored(connection: psycopg.AsyncConnection[Any], session_id: str) -> Stored:
    """Read what the database holds of a session."""

    async def rows(query: str) -> list[tuple[Any, ...]]:
        return await (await connection.execute(query.encode(), (session_id,))).fetchall()

    states = ", ".join(f"'{state}'" for state in OPEN_STATES)
    log = await rows("select seq, chunk from events where session_id = %s order by seq")
    last = await rows("select last_seq from sessions where id = %s")
    found = await rows("select id, request_id, status, error, tries from runs where session_id = %s order by number")
    written = "select role, content, tool_call_id, tool_calls from messages where session_id = %s order by position"
    said = await rows(written)
    open_calls = await rows(f"select call_id from tool_calls where session_id = %s and state in ({states})")
    [[model_calls]] = await rows("select count(*) from llm_calls where session_id = %s")
    return Stored(
        log=[(int(seq), json.loads(json.dumps(unpack(json.loads(chunk))))) for seq, chunk in log],
        last_seq=int(last[0][0]) if last else 0,
        runs=[StoredRun(*row) for row in found],
        messages=[StoredMessage(r, c, t, tuple(call["id"] for call in json.loads(m or "[]"))) for r, c, t, m in said],
        open_calls=[row[0] for row in open_calls],
        model_calls=model_calls,
    )
