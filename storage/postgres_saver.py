"""LangGraph's saver for PostgreSQL, on our connections and by our statements."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row

from storage.database import Writer
from storage.postgres import PostgresDatabase


class PostgresReader(AsyncPostgresSaver):
    """LangGraph's saver on our connections: behind a pooler only a transaction of ours sees the right schema."""

    def __init__(self, database: PostgresDatabase, serde: Any) -> None:
        super().__init__(database.pool, serde=serde)
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

    def execute(self, query: str, row: Sequence[Any]) -> None:
        """Take one row: of a checkpoint the newest counts, of a version of a channel the first."""
        match query:
            case PostgresSaver.UPSERT_CHECKPOINTS_SQL:
                found = dict(zip(_CHECKPOINT, row, strict=True))
                # jsonb's own text: the saver wraps the values for psycopg.
                self.checkpoints[tuple(row[:3])] = {**found, "checkpoint": row[4].obj, "metadata": row[5].obj}
            case PostgresSaver.UPSERT_CHECKPOINT_BLOBS_SQL:
                self.blobs.setdefault(tuple(row[:4]), _in_base64(_BLOB, row))
            case PostgresSaver.INSERT_CHECKPOINT_WRITES_SQL:
                self.writes.setdefault((*row[:4], row[5]), _in_base64(_WRITE, row))
            case PostgresSaver.UPSERT_CHECKPOINT_WRITES_SQL:
                self.special_writes[(*row[:4], row[5])] = _in_base64(_WRITE, row)
            case _:
                raise NotImplementedError(f"LangGraph's saver writes by another statement: {query}")

    def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows."""
        for row in rows:
            self.execute(query, row)


_CHECKPOINT = ("thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint", "metadata")
_BLOB = ("thread_id", "checkpoint_ns", "channel", "version", "type", "blob")
_WRITE = ("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "task_path", "idx", "channel", "type", "blob")


def _in_base64(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(columns, row, strict=True))
    return {**found, "blob": None if found["blob"] is None else b64encode(found["blob"]).decode()}


class PostgresWriter(PostgresSaver):
    """LangGraph's saver whose rows are gathered, for a few statements of ours.

    The synchronous one: it waits for nothing, and the asynchronous one encodes each value in a thread.
    """

    def __init__(self, connection: Any, serde: Any) -> None:
        super().__init__(connection, serde=serde)
        self._gathered = _Gathered()

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Any]:  # noqa: ARG002 the signature is the saver's
        yield self._gathered

    async def aput(self, *given: Any, **named: Any) -> RunnableConfig:
        """Gather the rows of a checkpoint."""
        return self.put(*given, **named)

    async def aput_writes(self, *given: Any, **named: Any) -> None:
        """Gather writes."""
        self.put_writes(*given, **named)

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
