"""A question to a person; it closes when another client settles its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from client.log_watch import LogWatch
from client.session import Session
from wire.protocol import Chunk

_CLEARED = {"approved", "approved_with_edits"}
_STILL_OPEN = {"decision_invalid", "call_unknown", "approval_unknown", "digest_mismatch"}
"""Errors that answer a request of another client and leave the call unchanged."""
ENDS = {"completed", "failed", "cancelled"}
"""The outcomes after which nothing of the round is open."""
_MOVED_ON = "The session went on elsewhere."


class QuestionClosed(Exception):
    """Another client settled the subject of the question; `reason` says how, in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Standing:
    """How a call, a plan or a question of the agent stands, according to the log since it was asked."""

    def __init__(self, call_id: str | None, asked_at: int) -> None:
        self._call_id = call_id
        self._asked_at = asked_at
        self.approval: Chunk | None = None
        """The status that clears the call to run, while the run still waits for its result."""
        self.closed_by: str | None = None
        """Why nothing is to be decided any more; None while the question is open."""
        self.is_elsewhere = False
        """Whether it was read from the log, because somebody else was first."""

    @property
    def executor(self) -> str | None:
        """The client that runs the cleared call, None where its decision named none."""
        executor = (self.approval.metadata or {}).get("executor") if self.approval is not None else None
        return None if executor is None else str(executor)

    def read(self, entries: Iterable[tuple[int, Chunk]]) -> Standing:
        """Take entries of the log in order."""
        for seq, chunk in entries:
            self.take(seq, chunk)
        return self

    def take(self, seq: int, chunk: Chunk) -> None:
        """Take one entry of the log."""
        metadata = chunk.metadata or {}
        if chunk.type == "status" and self._call_id and metadata.get("call_id") == self._call_id:
            self.approval = chunk if metadata.get("status") in _CLEARED else None
            self.closed_by = chunk.content or f"The call is {metadata.get('status')}."
        elif seq > self._asked_at and _moves_on(chunk):
            self.approval = None
            self.closed_by = self.closed_by or (chunk.error if chunk.type == "error" else None) or _MOVED_ON


def _moves_on(chunk: Chunk) -> bool:
    """Whether a chunk shows that the run no longer waits; what is said about single calls does not."""
    metadata = chunk.metadata or {}
    match chunk.type:
        case "status":
            return "call_id" not in metadata
        case "done":
            return metadata.get("outcome") in ENDS
        case "error":
            return metadata.get("code") not in _STILL_OPEN
        case "session_info":
            return False
        case _:
            return True


class Question:
    """One question to a person, about a call (`call_id`), a plan or the agent's own question.

    `after` is the place in the log where it was asked.
    """

    def __init__(self, session: Session, call_id: str | None, after: int, *, is_about_budget: bool = False) -> None:
        self.is_about_budget = is_about_budget
        """Whether it asks for money or tokens beyond a budget: only a person grants them."""
        self._session = session
        self._call_id = call_id
        self.after = after
        self._asked_at = session.last_seq
        self._seen = self.standing([])

    @property
    def is_closed(self) -> bool:
        """Whether another client settled it."""
        return self._seen.closed_by is not None

    def standing(self, entries: Iterable[tuple[int, Chunk]]) -> Standing:
        """Read from entries of the log, in order, how the matter stands."""
        return Standing(self._call_id, self._asked_at).read(entries)

    @contextmanager
    def open(self, close: Callable[[], None]) -> Iterator[None]:
        """Follow the session's log while the person is asked.

        `close` is called from another thread when another client settles the question; the block then ends with
        QuestionClosed, whatever else it raised or returned.
        """
        try:
            with LogWatch(self._session, self.after, lambda seq, chunk: self._see(seq, chunk, close)):
                yield
        finally:
            if self._seen.closed_by is not None:
                raise QuestionClosed(self._seen.closed_by)

    def _see(self, seq: int, chunk: Chunk, close: Callable[[], None]) -> None:
        was_closed = self.is_closed
        self._seen.take(seq, chunk)
        if self.is_closed and not was_closed:
            close()
