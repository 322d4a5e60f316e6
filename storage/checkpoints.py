"""Where threads are kept: LangGraph's savers on our database, fenced by the attempt of the run that writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from errors import RunLost
from storage.database import Database, PostgresDatabase, SqliteDatabase

_FENCE = "select 1 from runs where id = %s and attempt = %s and status = 'running' for share"


def _serializer() -> JsonPlusSerializer:
    # Only plain data and messages may come back to life from a checkpoint.
    return JsonPlusSerializer(allowed_msgpack_modules=None)


class FencedPostgresSaver(AsyncPostgresSaver):
    """The stock saver for one run: a worker that lost its run writes nothing, and no two runs share its lock."""

    def __init__(self, pool: Any, run_id: str | None, attempt: int | None) -> None:
        super().__init__(pool, serde=_serializer())
        self.supports_pipeline = False
        self._run = (run_id, attempt)

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[Any]:
        async with super()._cursor(pipeline=pipeline) as cursor:
            if pipeline and self._run[0] is not None:
                await cursor.execute(_FENCE, self._run)
                if await cursor.fetchone() is None:
                    raise RunLost
            yield cursor


class Checkpoints:
    """Gives each run its saver."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sqlite: Any = None

    async def open(self) -> None:
        """Open the connection of its own that SQLite needs: on a shared one its commits keep our rolled-back rows."""
        if isinstance(self._database, SqliteDatabase):
            import aiosqlite
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            connection = await aiosqlite.connect(self._database.path, timeout=10)
            await connection.execute("pragma synchronous=NORMAL")
            self._sqlite = AsyncSqliteSaver(connection, serde=_serializer())
            await self._sqlite.setup()

    def saver(self, run_id: str | None = None, attempt: int | None = None) -> BaseCheckpointSaver[Any]:
        """The saver of one run, or one that only reads."""
        if isinstance(self._database, PostgresDatabase):
            return FencedPostgresSaver(self._database.pool, run_id, attempt)
        saver: BaseCheckpointSaver[Any] = self._sqlite
        return saver

    async def delete(self, session_id: str) -> None:
        """Remove the thread of a session."""
        await self.saver().adelete_thread(session_id)

    async def close(self) -> None:
        """Close SQLite's second connection."""
        if self._sqlite is not None:
            await self._sqlite.conn.close()

    async def check(self) -> None:
        """Raise NotReady when threads cannot be read."""
        async with self._database.autocommit() as tx:
            await tx.connection.execute("select 1 from checkpoints limit 1")
