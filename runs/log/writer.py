"""The log of runs: what each attempt says is gathered and packed, and appended for all of them by one writer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any

from errors import NotReady
from runs.log.broadcast import Broadcast
from storage.database import RETRY_S, Database, Patience
from storage.tables import events, sessions
from storage.tables.events import Addition, Event
from storage.tables.runs import Run
from telemetry.meters import Meters
from wire.chunks import pack
from wire.protocol import AssistantMessage, Chunk

PACE_S = 0.05
"""At most one append of all runs in this time; the first one after a pause is made at once."""
BATCH_LIMIT_S = 0.5
"""An append that takes longer is given up, and each of its runs is appended alone: one slow row holds up no other."""
ALONE_AT_ONCE = 4
"""So many runs at a time are appended alone: the other connections of the pool stay free for requests."""
_log = logging.getLogger("runs.log.writer")
Said = Chunk | str
"""A chunk, or a piece of a text as the model wrote it."""
GATHER_S = 0.4
"""How long a piece of text waits at most for the pieces after it."""
GATHER_PIECES = 5
"""So many pieces of text are appended without waiting for more."""


class LogWriter:
    """Appends what runs say, and publishes it once it is stored.

    A run leaves the batch when its session is locked, has other events than the run knows, was taken over or cannot be
    stored: it is appended alone, in a transaction that holds the session before it looks what is stored already.
    """

    def __init__(self, database: Database, broadcast: Broadcast, meters: Meters) -> None:
        self._database = database
        self._broadcast = broadcast
        self._meters = meters
        self._ready: dict[RunLog, None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)

    def log_of(self, run: Run) -> RunLog:
        """The log of one attempt of a run; it appends nothing before it is opened."""
        return RunLog(run, self._enqueue)

    async def close(self) -> None:
        """End every append."""
        for task in (tasks := [*self._tasks]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _enqueue(self, log: RunLog) -> None:
        self._ready[log] = None
        if self._writing is None:
            self._writing = self._start(self._write())

    def _start(self, step: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        # In a context of its own: what it logs is not about the run that happened to start it.
        task = asyncio.create_task(step, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._ready:
                began, ready, self._ready = loop.time(), self._ready, {}
                await self._append(ready)
                await asyncio.sleep(began + PACE_S - loop.time())
        finally:
            self._writing = None

    async def _append(self, ready: Mapping[RunLog, None]) -> None:
        together: dict[RunLog, Addition] = {}
        for log in ready:
            try:
                addition = log.addition()
            except Exception as error:  # noqa: BLE001 it becomes the outcome of that run
                log.fail(error)
                continue
            if addition is not None and log.is_alone:
                self._start(self._append_alone(log, addition))
            elif addition is not None:
                together[log] = addition
        if not together:
            return
        appending = self._start(self._append_batch([*together.values()]))
        await asyncio.wait({appending}, timeout=BATCH_LIMIT_S)
        stored: list[list[Event]] = [[] for _ in together]
        if not appending.done():
            appending.cancel()
        elif isinstance(appending.exception(), NotReady):
            await asyncio.sleep(RETRY_S)
            self._ready = dict.fromkeys([*together, *self._ready])
            return
        elif (failure := appending.exception()) is not None:
            _log.warning("a batch of the log failed", exc_info=failure, extra={"action": "log_batch_failed"})
        else:
            stored = appending.result()
        for (log, addition), found in zip(together.items(), stored, strict=True):
            if found:
                self._settle(log, found)
            else:
                self._start(self._append_alone(log, addition))

    async def _append_batch(self, additions: list[Addition]) -> list[list[Event]]:
        with self._meters.append():
            async with self._database.log_transaction() as tx:
                return await events.append_batch(tx, additions)

    async def _append_alone(self, log: RunLog, addition: Addition) -> None:
        """Append until it is stored or cannot be; a locked session holds no connection while it waits."""
        loop, patience = asyncio.get_running_loop(), Patience(self._database)
        try:
            while True:
                stored: list[Event] = []
                refusal: NotReady | None = None
                async with self._alone:
                    began = loop.time()
                    try:
                        stored = await self._append_held(addition)
                    except NotReady as error:
                        refusal = error
                log.is_alone = loop.time() - began > BATCH_LIMIT_S
                if stored:
                    self._settle(log, stored)
                    return
                await patience.wait(refusal)
        except Exception as error:  # noqa: BLE001 it becomes the outcome of that run
            log.fail(error)

    async def _append_held(self, addition: Addition) -> list[Event]:
        """Hold the session, then look whether an answer got lost, then append; empty while the session is locked."""
        with self._meters.append():
            return await self._append_in_turn(addition)

    async def _append_in_turn(self, addition: Addition) -> list[Event]:
        run = addition.run
        async with self._database.transaction() as tx:
            if not await sessions.hold_if_free(tx, run.session_id):
                return []
            stored = await events.of_run(tx, run, addition.after)
            return stored or await events.append(
                tx, run.session_id, run.request_id, addition.chunks, run=run, durable=False
            )

    def _settle(self, log: RunLog, stored: list[Event]) -> None:
        log.settle(stored)
        self._broadcast.publish(log.run.session_id, stored)


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
        self._gathered: list[Said] = []
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

    def say(self, *said: Said) -> None:
        """Put chunks or pieces of a text behind those that gather."""
        self._gathered.extend(said)
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


def join_deltas(said: Sequence[Said]) -> list[Chunk]:
    """Make one delta of consecutive pieces of text: a client reads the same text in fewer pieces."""
    joined: list[Chunk] = []
    for is_text, run in groupby(said, key=is_delta):
        if is_text:
            joined.append(AssistantMessage(token="".join(map(_text_of, run))))
        else:
            joined += [one for one in run if not isinstance(one, str)]
    return joined


def is_delta(said: Said) -> bool:
    """Whether it is a piece of a text that is still being written."""
    return isinstance(said, str) or (isinstance(said, AssistantMessage) and not said.is_final)


def _text_of(said: Said) -> str:
    return said if isinstance(said, str) else said.token or ""
