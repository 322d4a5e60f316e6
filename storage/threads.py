"""The threads that this process has stored last, so that the next run of a session reads its thread from memory.

An entry counts only while the newest run of its session is the one whose end was kept: every checkpoint of a thread is
stored by the end of an attempt, so none was stored after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver

MAX_THREADS = 256
MAX_BYTES = 1_048_576
"""The size of one thread; a longer one is read from the database."""
Held = tuple[str, tuple[Any, ...]]
"""A method of LangGraph's savers and its arguments."""


class KeptThread:
    """One thread as bytes, in LangGraph's saver for memory: what a run does to a value that it read changes nothing."""

    def __init__(self, serde: Any) -> None:
        self._saver = InMemorySaver(serde=serde)
        self._serde = serde
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
        """How many bytes are kept."""
        writes = (write[2][1] for task in self._saver.writes.values() for write in task.values())
        values = (value[1] for value in self._saver.blobs.values())
        return sum(map(len, (*writes, *values, *(written for _, written in self._before.values()))))


class Threads:
    """The kept threads of a process, those that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, int, KeptThread]] = OrderedDict()

    def take(self, session_id: str, run_id: str, attempt: int) -> KeptThread | None:
        """Return the thread as that attempt has stored it, and keep it no more; None where it is not kept."""
        found = self._kept.pop(session_id, None)
        return found[2] if found is not None and found[:2] == (run_id, attempt) else None

    def keep(self, session_id: str, run_id: str, attempt: int, thread: KeptThread) -> None:
        """Keep a thread as that attempt of that run has stored it; a large one is not kept."""
        self._kept.pop(session_id, None)
        if thread.size > MAX_BYTES:
            return
        self._kept[session_id] = (run_id, attempt, thread)
        if len(self._kept) > MAX_THREADS:
            self._kept.popitem(last=False)
