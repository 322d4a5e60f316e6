"""The checkpointer: LangGraph's savers on our database; a run's checkpoints are stored together with its rows."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.base import id as ids
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row

from errors import CheckpointOrder
from storage.database import Database, Transaction, Writer, patiently
from storage.postgres import PostgresDatabase, postgres_errors
from storage.sqlite import BUSY_TIMEOUT_S, SqliteDatabase, sqlite_errors
from storage.threads import Held, KeptThread, Threads

SHORT_VERSION = 6
"""The places of a channel's version in a new thread; LangGraph's savers take 32, in every entry of a checkpoint."""
MAX_SHORT_VERSION = 10 ** (SHORT_VERSION - 1)
"""From here on 32 places: shorter versions begin with a space, so that they compare as less."""


class StrictSerializer(JsonPlusSerializer):
    """Deserialises plain data and messages only: no other class that a checkpoint names is instantiated."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Read what `dumps_typed` writes; raises ValueError for the forms that it never writes."""
        if data[0] not in ("null", "bytes", "bytearray", "msgpack"):
            raise ValueError(f"a checkpoint of the type {data[0]!r} is not read")
        return super().loads_typed(data)


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
        if isinstance(writer, _PostgresWriter):
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


class _PostgresReader(AsyncPostgresSaver):
    """LangGraph's saver on our connections: behind a pooler only a transaction of ours sees the right schema."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database.pool, serde=StrictSerializer())
        self._database = database

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[Any]:  # noqa: ARG002 the signature is the saver's
        async with (
            self._database.autocommit() as tx,
            tx.connection.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            yield cursor


class _Gathered:
    """Takes the statements of LangGraph's saver in the place of a cursor."""

    def __init__(self) -> None:
        self.checkpoints: dict[Any, dict[str, Any]] = {}
        self.blobs: dict[Any, dict[str, Any]] = {}
        self.writes: dict[Any, dict[str, Any]] = {}
        self.special_writes: dict[Any, dict[str, Any]] = {}
        """Of channels with an index below 0: a later one replaces what is stored."""

    async def execute(self, query: str, row: Sequence[Any]) -> None:
        """Take one row: of a checkpoint the newest counts, of a version of a channel the first."""
        match query:
            case AsyncPostgresSaver.UPSERT_CHECKPOINTS_SQL:
                found = dict(zip(_CHECKPOINT, row, strict=True))
                # jsonb's own text: the saver wraps the values for psycopg.
                self.checkpoints[tuple(row[:3])] = {**found, "checkpoint": row[4].obj, "metadata": row[5].obj}
            case AsyncPostgresSaver.UPSERT_CHECKPOINT_BLOBS_SQL:
                self.blobs.setdefault(tuple(row[:4]), _in_base64(_BLOB, row))
            case AsyncPostgresSaver.INSERT_CHECKPOINT_WRITES_SQL:
                self.writes.setdefault((*row[:4], row[5]), _in_base64(_WRITE, row))
            case AsyncPostgresSaver.UPSERT_CHECKPOINT_WRITES_SQL:
                self.special_writes[(*row[:4], row[5])] = _in_base64(_WRITE, row)
            case _:
                raise NotImplementedError(f"LangGraph's saver writes by another statement: {query}")

    async def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows."""
        for row in rows:
            await self.execute(query, row)


_CHECKPOINT = ("thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint", "metadata")
_BLOB = ("thread_id", "checkpoint_ns", "channel", "version", "type", "blob")
_WRITE = ("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "task_path", "idx", "channel", "type", "blob")


def _in_base64(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(columns, row, strict=True))
    return {**found, "blob": None if found["blob"] is None else b64encode(found["blob"]).decode()}


class _PostgresWriter(AsyncPostgresSaver):
    """LangGraph's saver whose rows are gathered, for a few statements of ours."""

    def __init__(self, connection: Any, serde: Any) -> None:
        super().__init__(connection, serde=serde)
        self._gathered = _Gathered()

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[Any]:  # noqa: ARG002 the signature is the saver's
        yield self._gathered

    async def write(self, tx: Writer) -> None:
        """Write what was gathered."""
        gathered = self._gathered
        for name, rows in (
            ("insert_checkpoints", gathered.checkpoints),
            ("insert_checkpoint_blobs", gathered.blobs),
            ("insert_checkpoint_writes", gathered.writes),
            ("put_checkpoint_writes", gathered.special_writes),
        ):
            if rows:
                await tx.run(name, rows=json.dumps([*rows.values()]))


class _WithoutCommit:
    """An aiosqlite connection whose commit is left to the transaction around it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def commit(self) -> None:
        """Do nothing: `Database.transaction` commits."""


def _writer_in(tx: Writer, serde: Any) -> BaseCheckpointSaver[Any]:
    if tx.dialect == "postgresql":
        return _PostgresWriter(tx.connection, serde=serde)
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
            return _PostgresReader(self._database)
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
