"""What one attempt of a run says, on its way into the log of its session: gathered, packed, appended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby

from storage.tables.events import Addition, Event
from storage.tables.runs import Run
from wire.chunks import pack
from wire.protocol import AssistantMessage, Chunk

GATHER_S = 0.4
"""How long a piece of text waits at most for the pieces after it."""
GATHER_PIECES = 5
"""So many pieces of text are appended without waiting for more."""


class RunLog:
    """The chunks of one attempt: those that gather, and those that are being appended."""

    def __init__(self, run: Run, on_ready: Callable[[RunLog], None]) -> None:
        self.run = run
        self._on_ready = on_ready
        self.is_alone = False
        """Whether the last append took so long that it would hold up those of other runs."""
        self.broken: BaseException | None = None
        """Why nothing can be appended any more, such as RunLost."""
        self._written_to = 0
        self._gathered: list[Chunk] = []
        self._is_amid_text = False
        """Whether the last chunk that was appended is a piece of text: what follows need not be appended at once."""
        self._appending: list[str] = []
        self._is_settled = asyncio.Event()
        self._is_settled.set()
        self._timer: asyncio.TimerHandle | None = None
        self._driver: asyncio.Task[None] | None = None

    def open(self, written_to: int, driver: asyncio.Task[None] | None) -> None:
        """Begin to append: `written_to` is the last event of the session that the run knows.

        `driver` is cancelled when appending fails; `broken` then says why.
        """
        self._written_to, self._driver = written_to, driver
        self._schedule()

    def say(self, *chunks: Chunk) -> None:
        """Put chunks behind those that gather."""
        self._gathered.extend(chunks)
        self._schedule()

    async def close(self) -> list[Chunk]:
        """Append nothing more; what has not been appended comes back, for the closing transaction.

        Raises RunLost when another worker has taken the run over.
        """
        self.abandon()
        await self._is_settled.wait()
        if self.broken is not None:
            raise self.broken
        chunks, self._gathered = join_deltas(self._gathered), []
        return chunks

    def abandon(self) -> None:
        """Hand nothing more to the writer."""
        self._driver = None
        self._stop_timer()

    def addition(self) -> Addition | None:
        """What is to be appended next, the same until it is settled or has failed; None when there is nothing."""
        if not self._appending and self._driver is not None and self._gathered:
            chunks, self._gathered = join_deltas(self._gathered), []
            self._is_amid_text = is_delta(chunks[-1])
            self._appending = [pack(chunk) for chunk in chunks]
            self._is_settled.clear()
            self._stop_timer()
        return Addition(self.run, self._written_to, self._appending) if self._appending else None

    def settle(self, stored: Sequence[Event]) -> None:
        """Note that the addition is stored."""
        self._written_to = stored[-1].seq
        self._end_addition()
        self._schedule()

    def fail(self, error: BaseException) -> None:
        """Note that the addition cannot be stored, and stop the run."""
        self.broken = error
        self._end_addition()
        if self._driver is not None:
            self._driver.cancel()

    def _end_addition(self) -> None:
        self._appending = []
        self._is_settled.set()

    def _schedule(self) -> None:
        if self._driver is None or self._appending or not self._gathered:
            return
        is_text = self._is_amid_text and is_delta(self._gathered[-1])
        if not is_text or len(self._gathered) >= GATHER_PIECES:
            self._on_ready(self)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._on_ready, self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def join_deltas(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Make one delta of consecutive ones: a client reads the same text in fewer pieces."""
    joined: list[Chunk] = []
    for is_text, run in groupby(chunks, key=is_delta):
        if is_text:
            joined.append(AssistantMessage(token="".join(chunk.token or "" for chunk in run)))
        else:
            joined.extend(run)
    return joined


def is_delta(chunk: Chunk) -> bool:
    """Whether a chunk is a piece of a text that is still being written."""
    return isinstance(chunk, AssistantMessage) and not chunk.is_final
