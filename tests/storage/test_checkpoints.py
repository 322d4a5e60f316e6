"""A thread is stored with the rows of its run, and holds plain data and messages, never what a run was given."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR

from storage.checkpoints import MAX_SHORT_VERSION, StrictSerializer
from tests.runs.opened import opened

_MODULES = re.compile(rb"[a-z_]+(?:\.[a-z_0-9]+)+")
MESSAGE_MODULES = {"langchain_core.messages.ai", "langchain_core.messages.human", "langchain_core.messages.tool"}
OURS = re.compile(rb"\b(context|policy|storage|runs|llm|nodes|api|wire|settings)\.[a-z_]+")


async def _stored(engine: Any) -> list[bytes]:
    """Every value of every checkpoint, as bytes."""
    found: list[bytes] = []
    async with engine.database.autocommit() as tx:
        if tx.dialect == "sqlite":
            statements = ["select checkpoint from checkpoints", "select value from writes"]
        else:
            statements = [
                "select blob from checkpoint_blobs",
                "select blob from checkpoint_writes",
                "select cast(checkpoint as text) from checkpoints",
            ]
        for statement in statements:
            cursor = await tx.connection.execute(statement)
            found += [bytes(row[0], "utf-8") if isinstance(row[0], str) else bytes(row[0]) for row in
                      await cursor.fetchall() if row[0] is not None]  # fmt: skip
    return found


async def test_a_checkpoint_holds_messages_and_plain_data_only(db_url: str) -> None:
    replies: list[dict[str, Any]] = [
        {"tool": "calculator", "args": {"expr": "1 + 1"}},
        {"tools": [{"tool": "read_file", "args": {"path": "a"}, "id": "c1"},
                   {"tool": "write_file", "args": {"path": "b", "content": ""}, "id": "c2"}]},
        {"text": "Done."},
    ]  # fmt: skip
    async with opened(db_url, multi_agent_mode=False) as (engine, client):
        await client.play(replies, agent="universal")
        await client.post({"type": "tool_result", "call_id": "c1", "result": {"a": [1, None]}})
        await client.post({"type": "hitl_decision", "call_id": "c2", "decision": "reject"})
        stored = await _stored(engine)
    assert stored
    text = b"\n".join(stored)
    assert not OURS.search(text), OURS.search(text)
    modules = {found.decode() for found in _MODULES.findall(text) if found.startswith((b"langchain", b"langgraph"))}
    assert modules <= MESSAGE_MODULES | {"langgraph.types"}, modules


async def test_checkpoint_and_rows_become_true_together(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await client.play([{"text": "Said."}])
        saver = engine.checkpoints.saver()
        config: Any = {"configurable": {"thread_id": "s", "checkpoint_ns": ""}}
        newest = await saver.aget_tuple(config)
        assert newest is not None
        await saver.aput(newest.config, {**newest.checkpoint, "id": "f" * 8}, {}, {})

        async def store_in_vain() -> None:
            async with engine.database.transaction() as tx:
                await saver.store(tx)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await store_in_vain()
        now = await saver.aget_tuple(config)
        assert now is not None
        assert now.checkpoint["id"] == newest.checkpoint["id"], "a rolled-back transaction kept its checkpoint"
        assert newest.metadata["run_id"]


@dataclass
class Planted:
    text: str


def test_a_stored_class_name_makes_no_object() -> None:
    """A foreign object in the database is read as plain data or refused."""
    lenient = JsonPlusSerializer(allowed_msgpack_modules=True)
    kind, blob = lenient.dumps_typed({"message": HumanMessage("hi"), "planted": Planted("x")})
    assert isinstance(lenient.loads_typed((kind, blob))["planted"], Planted)
    found = StrictSerializer().loads_typed((kind, blob))
    assert found["message"] == HumanMessage("hi")
    assert not isinstance(found["planted"], Planted)
    named = {"lc": 2, "type": "constructor", "id": ["pathlib", "Path"], "args": ["/etc/passwd"]}
    for form, content in (("json", json.dumps(named).encode()), ("pickle", pickle.dumps(Planted("x")))):
        with pytest.raises(ValueError, match=form):
            StrictSerializer().loads_typed((form, content))


async def test_versions_grow_whichever_saver_counts_on(db_url: str) -> None:
    """A thread may be continued by LangGraph's own saver or an earlier release, and then by this one again."""
    async with opened(db_url) as (engine, _):
        ours = engine.checkpoints.saver()
    stock = InMemorySaver()
    version = ours.get_next_version(None, None)
    for counts in (ours, ours, stock, ours, stock, ours):
        following = counts.get_next_version(version, None)
        assert following > version, (version, following)
        assert int(following.split(".")[0]) == int(version.split(".")[0]) + 1
        version = following
    ends = [ours.get_next_version(f"{count:6}", None) for count in range(MAX_SHORT_VERSION - 12, MAX_SHORT_VERSION + 2)]
    assert ends == sorted(set(ends)), ends
    assert [end for end in ends if stock.get_next_version(end, None) <= end] == []


async def test_of_a_special_channel_the_later_write_counts(db_url: str) -> None:
    """Interrupts and errors of a task replace those that it wrote before, also in another transaction."""
    config: Any = {"configurable": {"thread_id": "s", "checkpoint_ns": "", "checkpoint_id": "c"}}
    async with opened(db_url) as (engine, _):
        for written in ("first", "second"):
            saver = engine.checkpoints.saver()
            await saver.aput_writes(config, [(ERROR, written)], "task")
            await saver.aput_writes(config, [("messages", written)], "task")
            async with engine.database.transaction() as tx:
                await saver.store(tx)
        stored = b"\n".join(await _stored(engine))
    assert (stored.count(b"first"), stored.count(b"second")) == (1, 1), "the error is the second, the message the first"


async def test_a_first_turn_is_one_checkpoint_and_the_next_ones_are_its_children(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        for said in ("One.", "Two.", "Three."):
            await client.play([{"text": said}])
        saver = engine.checkpoints._stock()
        found = [tuple_ async for tuple_ in saver.alist({"configurable": {"thread_id": "s"}})]
        graph = engine.graph.copy({"checkpointer": saver})
        state = await graph.aget_state({"configurable": {"thread_id": "s"}})
    parents = [each.parent_config["configurable"]["checkpoint_id"] if each.parent_config else None for each in found]
    assert parents == [*(each.checkpoint["id"] for each in found[1:]), None]
    assert len(found) == 3
    said_by_agents = [message.content for message in state.values["messages"] if message.type == "ai"]
    assert said_by_agents == ["One.", "Two.", "Three."]
