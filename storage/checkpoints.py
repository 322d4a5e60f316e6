"""The checkpointer: LangGraph's savers on our database; a run's checkpoints are stored together with its rows."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.base import id as ids
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from errors import CheckpointOrder
from storage.database import Database, Transaction, Writer, patiently
from storage.postgres import PostgresDatabase, postgres_errors
from storage.sqlite import BUSY_TIMEOUT_S, SqliteDatabase, sqlite_errors

SHORT_VERSION = 6
"""The places of a channel's version in a new thread; LangGraph's savers take 32, in every entry of a checkpoint."""
MAX_SHORT_VERSION = 10 ** (SHORT_VERSION - 1)
"""From here on 32 places: shorter versions begin with a space, so that they compare as less."""
MAX_THREADS = 256
MAX_THREAD_BYTES = 8_388_608
"""The size of one thread; a longer one is read from the database."""
MAX_BYTES = 134_217_728
"""The size of all threads that are kept."""
DECODED_FACTOR = 6  # messages are about so much larger than their bytes
Held = tuple[str, tuple[Any, ...]]
"""A method of LangGraph's savers and its arguments."""


class StrictSerializer(JsonPlusSerializer):
    """Deserialises plain data and messages only: no other class that a checkpoint names is instantiated."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Read what `dumps_typed` writes; raises ValueError for the forms that it never writes."""
        if data[0] not in ("null", "bytes", "bytearray", "msgpack"):
            raise ValueError(f"a checkpoint of the type {data[0]!r} is not read")
        return super().loads_typed(data)


class DecodesOnce:
    """A serializer that decodes lists of messages once, also in a named tuple: a turn does not decode its conversation.

    Runs share the messages, which nothing changes after they are stored; the lists are copies.
    """

    def __init__(self, serde: Any) -> None:
        self._serde = serde
        self._decoded: dict[int, tuple[bytes, Any]] = {}
        """By the identity of the bytes, which stay referenced here."""
        self.size = 0

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Encode as LangGraph's serializer does."""
        return self._serde.dumps_typed(obj)  # type: ignore[no-any-return]

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Decode as LangGraph's serializer does."""
        known = self._decoded.get(id(data[1]))
        if known is not None:
            return _copied(known[1])
        value = self._serde.loads_typed(data)
        if any(map(_are_messages, value if hasattr(value, "_fields") else (value,))):
            self._decoded[id(data[1])] = (data[1], _copied(value))
            self.size += len(data[1])
        return value


def _are_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, BaseMessage) for one in value)


def _copied(value: Any) -> Any:
    """The same messages in a list of their own."""
    return value._make(map(_copied, value)) if hasattr(value, "_fields") else copy.copy(value)


class KeptThread:
    """One thread as bytes, in LangGraph's saver for memory: what a run does to a value that it read changes nothing."""

    def __init__(self, serde: Any) -> None:
        self._serde = DecodesOnce(serde)
        self._saver = InMemorySaver(serde=self._serde)
        self._before: dict[str, tuple[str, bytes]] = {}
        """By channel: what the database told of the time before the first checkpoint that is kept here."""

    @classmethod
    async def read_from(cls, serde: Any, found: CheckpointTuple | None) -> KeptThread | None:
        """Begin with what was read from the database; None where that does not hold the order of pending writes."""
        thread = cls(serde)
        if found is None:
            return thread
        if found.pending_writes:
            return None
        place = found.config["configurable"]
        before = found.parent_config["configurable"]["checkpoint_id"] if found.parent_config else None
        config: Any = {
            "configurable": {
                "thread_id": place["thread_id"],
                "checkpoint_ns": place.get("checkpoint_ns", ""),
                "checkpoint_id": before,
            }
        }
        await thread._saver.aput(config, found.checkpoint, found.metadata, found.checkpoint["channel_versions"])
        return thread

    def note_history(self, histories: Mapping[str, Any]) -> None:
        """Keep what the database told of the time before the first checkpoint."""
        self._before = {channel: self._serde.dumps_typed(history) for channel, history in histories.items()}

    async def add(self, held: Iterable[Held]) -> None:
        """Keep what a run has stored."""
        for method, arguments in held:
            await getattr(self._saver, method)(*arguments)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read as LangGraph's savers do."""
        return await self._saver.aget_tuple(config)

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """Read as LangGraph's savers do."""
        found: dict[str, Any] = dict(await self._saver.aget_delta_channel_history(config=config, channels=channels))
        for channel, written in self._before.items():
            if channel in found and "seed" not in found[channel]:
                before = self._serde.loads_typed(written)
                found[channel] = {**before, "writes": [*before["writes"], *found[channel]["writes"]]}
        return found

    @property
    def size(self) -> int:
        """How many bytes are kept, about, with the messages that were decoded."""
        writes = (write[2][1] for task in self._saver.writes.values() for write in task.values())
        values = (value[1] for value in self._saver.blobs.values())
        encoded = sum(map(len, (*writes, *values, *(written for _, written in self._before.values()))))
        return encoded + DECODED_FACTOR * self._serde.size


class Threads:
    """The threads that this process has stored last, so that the next run of a session reads its thread from memory.

    An entry counts only while the newest run of its session is the one whose end was kept: every checkpoint of a thread
    is stored by the end of an attempt, so none was stored after it.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, int, KeptThread, int]] = OrderedDict()
        """By session: the run and attempt that stored the thread, the thread and its size."""
        self._size = 0

    def take(self, session_id: str, run_id: str, attempt: int) -> KeptThread | None:
        """Return the thread as that attempt has stored it, and keep it no more; None where it is not kept."""
        found = self._kept.pop(session_id, None)
        self._size -= found[3] if found is not None else 0
        return found[2] if found is not None and found[:2] == (run_id, attempt) else None

    def keep(self, session_id: str, run_id: str, attempt: int, thread: KeptThread) -> None:
        """Keep a thread as that attempt of that run has stored it; a large one is not kept."""
        self.take(session_id, run_id, attempt)
        size = thread.size
        if size > MAX_THREAD_BYTES:
            return
        self._kept[session_id] = (run_id, attempt, thread, size)
        self._size += size
        while len(self._kept) > MAX_THREADS or self._size > MAX_BYTES:
            _, (*_, dropped) = self._kept.popitem(last=False)
            self._size -= dropped


class RunSaver(BaseCheckpointSaver[Any]):
    """The saver of one attempt: it reads the stored thread and buffers what is written.

    `store` writes the buffer in the transaction that closes the run. So checkpoint and rows become true together
    or not at all, and the fence of that transaction guards both: a worker that lost its run stores no checkpoint.
    """

    def __init__(self, reader: BaseCheckpointSaver[Any], database: Database) -> None:
        super().__init__(serde=reader.serde)
        self._reader = reader
        self._database = database
        self._held: list[Held] = []
        self._marks: dict[str, Any] = {}
        self._thread: KeptThread | None = None
        self._read: dict[str, KeptThread | None] | None = None
        """The `thread` as it is read from the database, for a run; a clone of the saver shares it."""
        self._newest = ""
        """The greatest id that was read or held: the stock saver takes the greatest as the newest."""

    def begin(self, thread: KeptThread | None) -> None:
        """Read from a kept thread, where there is one; an empty one is that of a session without runs."""
        self._thread, self._read = thread, {}

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read as LangGraph's saver does, waiting while the database is away; later checkpoints get greater ids."""
        found: CheckpointTuple | None
        if self._thread is not None:
            found = await self._thread.aget_tuple(config)
        else:
            found = await patiently(lambda: _translated(self._reader.aget_tuple(config)), self._database)
            if self._read is not None:  # at once: a run changes what it is given
                self._read["thread"] = await KeptThread.read_from(self.serde, found)
        if found is not None:
            self._newest = max(self._newest, found.checkpoint["id"])
            number_after(found.checkpoint["id"])
        return found

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """Read as LangGraph's saver does; waits while the database is not reachable."""
        if self._thread is not None:
            return await self._thread.aget_delta_channel_history(config=config, channels=channels)
        found: Mapping[str, Any] = await patiently(
            lambda: _translated(self._reader.aget_delta_channel_history(config=config, channels=channels)),
            self._database,
        )
        if self._read is not None and (read := self._read.get("thread")) is not None:
            read.note_history(found)
        return found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Buffer a checkpoint until `store`; raises CheckpointOrder when it would not be the newest."""
        if checkpoint["id"] < self._newest:
            raise CheckpointOrder(f"The checkpoint {checkpoint['id']} does not come after {self._newest}.")
        self._newest = checkpoint["id"]
        self._held.append(("aput", (config, copy.copy(checkpoint), copy.copy(metadata), new_versions)))
        place = config["configurable"]
        return {
            "configurable": {
                "thread_id": place["thread_id"],
                "checkpoint_ns": place.get("checkpoint_ns", ""),
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Buffer writes until `store`."""
        self._held.append(("aput_writes", (config, list(writes), task_id, task_path)))

    def get_next_version(self, current: Any, channel: None) -> str:  # noqa: ARG002 the signature is the saver's
        """Count on, without the fraction by which LangGraph's savers tell writers apart: a run has one.

        A thread begins with versions of six places, filled with spaces: less than all that those savers count on to.
        """
        count = 1 if current is None else int(str(current).split(".")[0]) + 1
        is_short = current is None or len(str(current)) <= SHORT_VERSION
        return f"{count:{SHORT_VERSION}}" if is_short and count < MAX_SHORT_VERSION else f"{count:032}"

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> RunSaver:
        """Clone with another serialiser; the clone shares the buffer."""
        clone = copy.copy(self)
        clone._reader = self._reader.with_allowlist(extra_allowlist)
        clone.serde = clone._reader.serde
        return clone

    def discard(self) -> None:
        """Clear the buffer: the thread stays as it was stored before."""
        self._held.clear()

    def mark(self, **marks: Any) -> None:
        """Add to the metadata of every checkpoint that `store` writes."""
        self._marks |= marks

    async def store(self, tx: Writer) -> None:
        """Write the buffer as part of a transaction or a batch."""
        writer = _writer_in(tx, self.serde)
        for method, arguments in self._stored():
            await getattr(writer, method)(*arguments)
        if tx.dialect == "postgresql":
            await writer.write(tx)

    def _stored(self) -> Iterator[Held]:
        for method, arguments in self._held:
            if method == "aput":
                config, checkpoint, metadata, versions = arguments
                arguments = (config, checkpoint, {**metadata, **self._marks}, versions)
            yield method, arguments

    async def thread(self) -> KeptThread | None:
        """The thread as it stands once `store` is committed; None where too little of it was read."""
        thread = self._thread or (self._read or {}).get("thread")
        if thread is not None:
            await thread.add(self._stored())
        return thread


def number_after(checkpoint_id: str) -> None:
    """Let the ids that LangGraph makes in this process be greater than one that it has read.

    LangGraph takes ids from the clock of the process. Another process, or this one before its clock stepped back, may
    have been ahead of it.
    """
    try:
        seen = ids.UUID(checkpoint_id)
    except ValueError:
        return  # not made by LangGraph
    if seen.version == 6:
        made: int | None = ids._last_v6_timestamp
        ids._last_v6_timestamp = max(made or 0, seen.time)  # type: ignore[assignment]  # None in the library's types


async def _translated(reading: Any) -> Any:
    with postgres_errors(), sqlite_errors():
        return await reading


class _WithoutCommit:
    """An aiosqlite connection whose commit is left to the transaction around it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def commit(self) -> None:
        """Do nothing: `Database.transaction` commits."""


def _writer_in(tx: Writer, serde: Any) -> Any:
    if tx.dialect == "postgresql":
        from storage.postgres_saver import PostgresWriter

        return PostgresWriter(tx.connection, serde=serde)
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    connection: Any = _WithoutCommit(tx.connection)
    writer = AsyncSqliteSaver(connection, serde=serde)
    writer.is_setup = True  # its set-up would commit
    return writer


async def delete_thread(tx: Transaction, session_id: str) -> None:
    """Remove the thread of a session as part of a transaction."""
    if tx.dialect == "postgresql":
        await tx.run("delete_thread", session_id=session_id)
        return
    await _writer_in(tx, StrictSerializer()).adelete_thread(session_id)


class Checkpoints:
    """Makes the savers of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sqlite: Any = None
        self.threads = Threads()
        """The threads that runs of this process have stored last."""

    async def open(self) -> None:
        """Open the second connection that SQLite needs, to read what is stored while a transaction is open."""
        if isinstance(self._database, SqliteDatabase):
            import aiosqlite
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            connection = await aiosqlite.connect(self._database.path, timeout=BUSY_TIMEOUT_S)
            await connection.execute("pragma synchronous=NORMAL")
            self._sqlite = AsyncSqliteSaver(connection, serde=StrictSerializer())
            await self._sqlite.setup()

    def saver(self) -> RunSaver:
        """A saver for one attempt of a run, or to read a thread; on PostgreSQL each has a lock of its own."""
        return RunSaver(self._stock(), self._database)

    def _stock(self) -> BaseCheckpointSaver[Any]:
        if isinstance(self._database, PostgresDatabase):
            from storage.postgres_saver import PostgresReader

            return PostgresReader(self._database, StrictSerializer())
        saver: BaseCheckpointSaver[Any] = self._sqlite
        return saver

    async def close(self) -> None:
        """Close SQLite's second connection."""
        if self._sqlite is not None:
            await self._sqlite.conn.close()

    async def check(self) -> None:
        """Raise NotReady when threads cannot be read."""
        async with self._database.autocommit() as tx:
            await tx.connection.execute("select 1 from checkpoints limit 1")
