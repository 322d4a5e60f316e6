"""What we lean on in LangGraph, and what we guard against: an upgrade that changes it fails here."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

import psycopg
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.errors import UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, _messages_delta_reducer
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Overwrite, interrupt

from storage.schema import migrate
from tests.databases import PostgresServer

ROOT = Path(__file__).parent.parent.parent
Graph = CompiledStateGraph[Any, Any, Any, Any]


class Log(TypedDict, total=False):
    done: Annotated[list[str], operator.add]


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=500)]


def config(thread: str = "t", *, strict: bool = True) -> Any:
    found: dict[str, Any] = {"thread_id": thread}
    return {"configurable": found | ({"__pregel_strict_resume": True} if strict else {})}


def two_questions(ran: list[str] | None = None, *, slow: bool = False) -> Graph:
    """One node that asks twice."""

    async def ask(state: Log) -> Log:
        first = interrupt("write a?")
        second = interrupt("delete b?")
        if slow:
            await asyncio.sleep(0.05)
        if ran is not None:
            ran.append(f"{first} {second}")
        return {"done": [f"{first} {second}"]}

    builder = StateGraph(Log)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    return builder.compile(checkpointer=InMemorySaver())


async def pending(graph: Graph) -> list[str]:
    return [found.id for found in (await graph.aget_state(config())).interrupts]


async def test_by_default_a_double_click_answers_the_next_question() -> None:
    graph = two_questions()
    await graph.ainvoke({}, config(strict=False))
    [first] = await pending(graph)
    await graph.ainvoke(Command(resume={first: "yes"}), config(strict=False))
    result = await graph.ainvoke(Command(resume={first: "yes"}), config(strict=False))
    assert result["done"] == ["yes yes"], (
        "the stale answer is not taken for the next one any more: drop the strict key?"
    )


async def test_strict_resume_refuses_a_stale_answer_and_saves_nothing() -> None:
    graph = two_questions()
    await graph.ainvoke({}, config())
    [first] = await pending(graph)
    await graph.ainvoke(Command(resume={first: "yes"}), config())
    before = (await graph.aget_state(config())).config
    with pytest.raises(UnknownInterruptError):
        await graph.ainvoke(Command(resume={first: "yes"}), config())
    assert (await graph.aget_state(config())).config == before


async def test_strict_resume_is_no_lock() -> None:
    ran: list[str] = []

    async def ask(state: Log) -> Log:
        answer = interrupt("run it?")
        ran.append(str(answer))
        await asyncio.sleep(0.05)
        return {"done": [str(answer)]}

    builder = StateGraph(Log)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    await graph.ainvoke({}, config())
    [only] = await pending(graph)
    answers = [graph.ainvoke(Command(resume={only: "yes"}), config()) for _ in range(2)]
    await asyncio.gather(*answers, return_exceptions=True)
    assert ran == ["yes", "yes"], "simultaneous resumes exclude each other now; ours is the claim of the run's row"


async def test_a_thread_is_finished_without_next_and_without_tasks() -> None:
    builder = StateGraph(Log)

    async def one(state: Log) -> Log:
        return {"done": ["one"]}

    async def two(state: Log) -> Log:
        interrupt("go on?")
        return {"done": ["two"]}

    builder.add_node("one", one)
    builder.add_node("two", two)
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    builder.add_edge("two", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    await graph.ainvoke({}, config())
    paused = await graph.aget_state(config())
    assert paused.tasks
    await graph.ainvoke(Command(resume={paused.interrupts[0].id: True}), config())
    finished = await graph.aget_state(config())
    assert not finished.next
    assert not finished.tasks


async def test_the_delta_channel_ignores_remove_all_messages() -> None:
    async def clear(state: Talk) -> Any:
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), AIMessage("new", id="2")]}

    async def replace(state: Talk) -> Any:
        return {"messages": Overwrite([AIMessage("only", id="3")])}

    kept: list[list[str]] = []
    nodes: list[Any] = [clear, replace]
    for node in nodes:
        builder = StateGraph(Talk)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=InMemorySaver())
        found = await graph.ainvoke({"messages": [HumanMessage("old", id="1")]}, config())
        kept.append([str(message.text) for message in found["messages"]])
    assert kept == [["old", "new"], ["only"]]


async def test_exit_durability_persists_at_an_interrupt_with_the_metadata_of_the_run() -> None:
    graph = two_questions()
    marked: Any = {**config(), "metadata": {"run_id": "r1", "attempt": 3}}
    async for _ in graph.astream({"done": ["input"]}, marked, durability="exit"):
        pass
    stored = await graph.aget_state(config())
    assert [found.value for found in stored.interrupts] == ["write a?"]
    assert stored.metadata is not None
    assert (stored.metadata["run_id"], stored.metadata["attempt"]) == ("r1", 3)  # type: ignore[typeddict-item]


async def test_under_exit_no_checkpoint_exists_while_the_graph_is_streamed() -> None:
    graph = two_questions()
    seen: list[bool] = []
    async for _ in graph.astream({"done": ["input"]}, config(), stream_mode="updates", durability="exit"):
        seen.append(bool((await graph.aget_state(config())).values))
    assert seen == [False], "calls may be published earlier now"
    assert (await graph.aget_state(config())).values


async def test_setup_of_six_savers_at_once_fails_without_our_lock(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url:

        async def set_up() -> None:
            async with AsyncPostgresSaver.from_conn_string(url) as saver:
                await saver.setup()

        outcomes = await asyncio.gather(*(set_up() for _ in range(6)), return_exceptions=True)
    assert any(isinstance(outcome, psycopg.Error) for outcome in outcomes), (
        "set-up is safe now: is the migration lock still needed?"
    )


def test_six_processes_migrate_one_database_at_once(postgres: PostgresServer) -> None:
    with postgres.database(empty=True) as url:
        code = f"import asyncio; from storage.schema import migrate; print(asyncio.run(migrate({url!r})))"
        started = [
            subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(6)
        ]
        told = [process.communicate(timeout=60)[0].strip() for process in started]
        assert [process.returncode for process in started] == [0] * 6
        assert sorted(told) == ["False"] * 5 + ["True"]
        assert asyncio.run(migrate(url)) is False
