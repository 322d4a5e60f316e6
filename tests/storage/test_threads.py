"""Kept threads: what a run reads from memory is what the database holds, and an entry that is behind is not read."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Overwrite, Send, interrupt

from runs.engine import Engine
from state import AgentState
from storage import checkpoints
from storage.checkpoints import Checkpoints, DecodesOnce, KeptThread, StrictSerializer, Threads
from storage.connect import open_database
from tests.databases import PostgresServer
from tests.ide import of_type, tool_result, user_message
from tests.runs.opened import Client, opened

RUNS = 25
CONFIG: Any = {"configurable": {"thread_id": "s"}}


async def _fan_out(given: Any) -> Command[Any]:
    """Start workers side by side; now and then make the window shorter first."""
    last = given["messages"][-1].content
    update = {"messages": Overwrite(given["messages"][-3:])} if "shorten" in last else {}
    return Command(update=update, goto=[Send("work", {"name": name, "of": last}) for name in ("a", "b", "c")])


async def _work(given: Any) -> dict[str, Any]:
    name, of = given["name"], given["of"]
    answer = interrupt(name) if f"ask-{name}" in of else "done"
    return {"messages": [AIMessage(f"{of} {name} {answer}", id=f"{of}-{name}")]}


def _graph() -> Any:
    graph: Any = StateGraph(AgentState)
    graph.add_node("fan_out", _fan_out)
    graph.add_node("work", _work)
    graph.add_edge(START, "fan_out")
    return graph.compile()


def _shown(state: Any) -> Any:
    """What a run reads of a thread."""
    return (
        [(message.id, message.content) for message in state.values.get("messages", [])],
        {key: value for key, value in state.values.items() if key != "messages"},
        state.next,
        state.config,
        sorted((task.name, task.id, [found.value for found in task.interrupts]) for task in state.tasks),
        state.metadata,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_kept_thread_reads_like_the_database(db_url: str, seed: int) -> None:
    chance, graph = random.Random(seed), _graph()
    database = await open_database(db_url)
    checkpoints = Checkpoints(database)
    await checkpoints.open()
    kept: KeptThread | None = KeptThread(StrictSerializer())
    waits: dict[str, Any] = {}
    hits = 0
    try:
        for number in range(RUNS):
            saver = checkpoints.saver()
            if chance.random() < 0.2:  # another process, or a thread that was kept no more
                kept = None
            saver.begin(kept)
            hits += kept is not None
            asked = [f"ask-{name}" for name in ("a", "b") if chance.random() < 0.3]
            words = " ".join([f"run-{number}", *asked, *(["shorten"] if chance.random() < 0.2 else [])])
            given: Any = {"messages": [HumanMessage(words, id=f"u{number}")], "turn": {"model_calls": number}}
            if waits:
                given = Command(resume=dict.fromkeys(waits, "yes"))
            running = graph.copy({"checkpointer": saver})
            await running.ainvoke(given, CONFIG, durability="exit")
            async with database.transaction() as tx:
                await saver.store(tx)
            kept = await saver.thread()
            stored = await graph.copy({"checkpointer": checkpoints.saver()}).aget_state(CONFIG)
            waits = {found.id: found.value for task in stored.tasks for found in task.interrupts}
            if kept is not None:
                reader = checkpoints.saver()
                reader.begin(kept)
                assert _shown(await graph.copy({"checkpointer": reader}).aget_state(CONFIG)) == _shown(stored), number
    finally:
        await checkpoints.close()
        await database.close()
    assert hits > RUNS // 4


async def _say(client: Client, word: str) -> None:
    status, chunks = await client.post(user_message(word, agent_type="coder"))
    assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")


async def _words(engine: Engine) -> list[str]:
    """The thread of the session, from the database."""
    state = await engine.graph.copy({"checkpointer": engine.checkpoints.saver()}).aget_state(CONFIG)
    return [str(message.content) for message in state.values["messages"] if isinstance(message, HumanMessage)]


def test_a_process_reads_what_another_one_has_stored_meanwhile(postgres: PostgresServer) -> None:
    with postgres.database() as db_url:
        asyncio.run(_alternate(db_url))


async def _alternate(db_url: str) -> None:
    async with opened(db_url) as (engine, one), opened(db_url) as (_, other):
        said = []
        for number, client in enumerate([one, one, other, one, other, other, one]):
            said.append(f"Hello number {number}")
            await _say(client, said[-1])
        assert await _words(engine) == said


async def test_a_turn_after_a_cancelled_one_reads_its_messages(db_url: str) -> None:
    async with opened(db_url) as (engine, client):
        await _say(client, "Hello one")
        _, chunks = await client.play([{"tool": "read_file", "args": {"path": "a"}, "id": "c1"}])
        assert of_type(chunks, "tool_call")
        await _say(client, "Hello two")
        _, chunks = await client.play([{"tool": "read_file", "args": {"path": "b"}, "id": "c2"}, {"text": "Read."}])
        status, chunks = await client.post(tool_result("c2", "text"))
        assert (status, chunks[-1]["metadata"]["outcome"]) == (200, "completed")
        await _say(client, "Hello three")
        words = await _words(engine)
    assert [word for word in words if word.startswith("Hello")] == ["Hello one", "Hello two", "Hello three"]


async def test_only_a_bounded_number_of_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Threads()
    for number in range(checkpoints.MAX_THREADS + 5):
        kept.keep(f"s{number}", "run", 1, KeptThread(StrictSerializer()))
    assert kept.take("s4", "run", 1) is None
    assert kept.take("s5", "run", 2) is None, "another attempt has stored it"
    assert kept.take("s6", "run", 1) is not None
    assert kept.take("s6", "run", 1) is None, "a thread is read once"
    monkeypatch.setattr(checkpoints, "MAX_THREAD_BYTES", 50)
    await _keep(kept, "long", "x" * 60)
    assert kept.take("long", "run", 1) is None
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 100)
    for name in ("a", "b", "c"):
        await _keep(kept, name, "x" * 40)
    assert kept.take("a", "run", 1) is None, "all together are bounded too"
    assert kept.take("b", "run", 1) is not None
    await _keep(kept, "d", "x" * 40)
    assert kept.take("c", "run", 1) is not None


async def _keep(kept: Threads, session_id: str, text: str) -> None:
    thread = KeptThread(StrictSerializer())
    await thread.add(
        [("aput_writes", ({"configurable": {"thread_id": "s", "checkpoint_id": "1"}}, [("a", text)], "t"))]
    )
    kept.keep(session_id, "run", 1, thread)


class CountingSerializer(StrictSerializer):
    """Counts the messages that are decoded."""

    decoded = 0

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        value = super().loads_typed(data)
        self.decoded += len(value) if isinstance(value, list) else 0
        return value


async def test_a_turn_decodes_the_new_messages_alone(db_url: str) -> None:
    graph, serde = _graph(), CountingSerializer()
    database = await open_database(db_url)
    checkpoints = Checkpoints(database)
    await checkpoints.open()
    kept: KeptThread | None = KeptThread(serde)
    counts = []
    try:
        for number in range(12):
            saver = checkpoints.saver()
            saver.begin(kept)
            before = serde.decoded
            given: Any = {"messages": [HumanMessage(f"run-{number}", id=f"u{number}")]}
            await graph.copy({"checkpointer": saver}).ainvoke(given, CONFIG, durability="exit")
            counts.append(serde.decoded - before)
            async with database.transaction() as tx:
                await saver.store(tx)
            kept = await saver.thread()
    finally:
        await checkpoints.close()
        await database.close()
    assert counts[0] == 0
    assert max(counts) <= 12, counts  # four messages a run, however long the conversation is


def test_runs_share_messages_and_no_list() -> None:
    serde = DecodesOnce(StrictSerializer())
    encoded = serde.dumps_typed([HumanMessage("one", id="u1")])
    first, second = serde.loads_typed(encoded), serde.loads_typed(encoded)
    first.append(HumanMessage("two"))
    assert [message.content for message in second] == ["one"]
    assert [message.content for message in serde.loads_typed(encoded)] == ["one"]
    snapshot = serde.dumps_typed(_DeltaSnapshot([HumanMessage("one", id="u1")]))
    held = serde.loads_typed(snapshot)
    held.value.append(HumanMessage("two"))
    again = serde.loads_typed(snapshot)
    assert (type(again), [message.content for message in again.value]) == (_DeltaSnapshot, ["one"])
    assert again.value[0] is held.value[0]
