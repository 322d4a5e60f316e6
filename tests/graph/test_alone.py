"""The graph without a server, as LangGraph Studio and notebooks use it: no context, nothing but messages as input."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from graph.builder import build_graph
from llm.script.history import check_history

Graph = CompiledStateGraph[Any, Any, Any, Any]
CREATE = 'Create a file notes.txt with content "hello"'


@pytest.fixture
def graph() -> Graph:
    return build_graph(InMemorySaver())


CONFIG: RunnableConfig = {"configurable": {"thread_id": "t"}}


async def say(graph: Graph, content: str, **values: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    found: dict[str, Any] = await graph.ainvoke({"messages": [message], **values}, CONFIG)
    return found


async def resume(graph: Graph, answer: Any) -> dict[str, Any]:
    waiting = (await graph.aget_state(CONFIG)).interrupts
    found: dict[str, Any] = await graph.ainvoke(Command(resume={i.id: answer for i in waiting}), CONFIG)
    return found


async def test_a_message_alone_is_enough(graph: Graph) -> None:
    assert (await say(graph, CREATE))["agent"] == "coder"
    values = await resume(graph, {"decision": "approve", "result": {"success": True, "bytes_written": 5}})
    assert [m.type for m in values["messages"]] == ["human", "ai", "tool", "ai", "tool"]
    assert all(m.id for m in values["messages"])


@pytest.mark.parametrize("agent", ["coder", "architect", "debug", "ask", "universal"])
async def test_each_agent_can_be_chosen(graph: Graph, agent: str) -> None:
    values = await say(graph, "What is a closure?", agent=agent)
    assert values["agent"] == agent
    assert {m.name for m in values["messages"] if m.type == "ai"} == {agent}


async def test_counters_begin_anew_with_each_message(graph: Graph) -> None:
    for _ in range(3):
        values = await say(graph, "What is a closure?", agent="ask")
    assert values["turn"]["model_calls"] == 1


async def test_a_message_in_the_middle_leaves_no_call_open(graph: Graph) -> None:
    await say(graph, CREATE)
    values = await say(graph, "What is a closure?")
    check_history(values["messages"])
    told = next(m for m in values["messages"] if m.type == "tool")
    assert "before this call was decided" in told.text
    assert not (await graph.aget_state(CONFIG)).interrupts


async def test_a_plan_is_reviewed_and_carried_out(graph: Graph) -> None:
    values = await say(graph, "Create a login app with form, validation and backend")
    assert values["agent"] == "architect"
    values = await resume(graph, {"decision": "approve"})
    for _ in range(20):
        if "__interrupt__" not in values:
            break
        values = await resume(graph, {"decision": "approve", "result": {"success": True, "content": "x"}})
    assert values["plan"] is None
    assert values["agent"] == "orchestrator"
    check_history(values["messages"])


async def test_an_unknown_decision_carries_out_no_plan(graph: Graph) -> None:
    await say(graph, "Create a login app with form, validation and backend")
    [waiting] = (await graph.aget_state(CONFIG)).interrupts
    assert waiting.response_schema is not None
    values = await resume(graph, {"decision": "perhaps"})
    assert "__interrupt__" not in values
    assert not values.get("plan")


def test_no_node_hides_a_subgraph(graph: Graph) -> None:
    assert list(graph.get_subgraphs()) == []
