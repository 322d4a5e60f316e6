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


async def nodes_of_turn(graph: Graph, content: str, **values: Any) -> list[str]:
    given = {"messages": [{"role": "user", "content": content}], **values}
    return [name async for update in graph.astream(given, CONFIG, stream_mode="updates") for name in update]


async def test_a_turn_begins_at_the_specialist_where_one_is_current(graph: Graph) -> None:
    assert await nodes_of_turn(graph, "What is a closure?") == ["router", "specialist"]
    assert await nodes_of_turn(graph, "And a monad?", turn={}) == ["specialist"]
    assert await nodes_of_turn(graph, "And a functor?", turn={}, agent="orchestrator") == ["router", "specialist"]


async def test_a_turn_after_an_open_call_begins_at_the_router(graph: Graph) -> None:
    await nodes_of_turn(graph, CREATE, agent="coder")
    assert await nodes_of_turn(graph, "What is a closure?", turn={}) == ["router", "specialist"]


async def test_counters_end_with_their_turn(graph: Graph) -> None:
    values = await say(graph, CREATE, agent="coder")
    assert values["turn"]["model_calls"] == 1
    values = await say(graph, "What is a closure?", agent="ask")
    assert values["turn"] is None


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


UNCLEAR = [
    "no", "yes", "approve", "", 0, 1, False, True, [], ["approve"], {}, {"decision": "Reject"}, {"decision": "APPROVE"},
    {"decision": "approve "}, {"decision": None}, {"decision": True}, {"decision": ["approve"]},
    {"decision": "perhaps"}, {"approve": True}, {"decision": "edit"}, {"decision": "edit", "arguments": "x"},
    {"ended_by": "approve"}, {"decision": "implicit_approve"},
    {"result": {"success": True}}, {"decision": "reject", "result": {"success": True}, "feedback": ["x"]},
]  # fmt: skip


@pytest.mark.parametrize("answer", UNCLEAR, ids=repr)
async def test_what_is_not_clearly_an_approval_is_a_rejection(graph: Graph, answer: Any) -> None:
    await say(graph, CREATE)
    values = await resume(graph, answer)
    told = [m for m in values["messages"] if m.type == "tool" and m.name == "write_file"]
    assert len(told) == 1
    assert told[0].text.startswith("The user rejected this call")
    assert "success" not in told[0].text


@pytest.mark.parametrize(
    ("edited", "why"),
    [
        ({"path": ".git/hooks/pre-commit", "content": "x"}, "not allowed"),
        ({"path": "../x", "content": "x"}, "not allowed"),
        ({"path": "notes.txt"}, "do not fit the tool"),
    ],
)
async def test_edited_arguments_are_judged_again(graph: Graph, edited: dict[str, Any], why: str) -> None:
    await say(graph, CREATE)
    values = await resume(graph, {"decision": "edit", "arguments": edited, "result": {"success": True}})
    [told] = [m for m in values["messages"] if m.type == "tool" and m.name == "write_file"]
    assert told.text.startswith("The user rejected this call: The edited arguments")
    assert why in told.text
    assert "success" not in told.text


async def test_edit_that_only_asks_is_answered_by_the_person_who_made_it(graph: Graph) -> None:
    await say(graph, CREATE)
    edited = {"path": "other.txt", "content": "hello"}
    values = await resume(graph, {"decision": "edit", "arguments": edited, "result": {"success": True}})
    assert any("The user changed the arguments" in m.text for m in values["messages"] if m.type == "tool")


async def test_feedback_of_a_rejection_is_read(graph: Graph) -> None:
    await say(graph, CREATE)
    values = await resume(graph, "not in this folder")
    assert any(m.text == "The user rejected this call: not in this folder" for m in values["messages"])


@pytest.mark.parametrize(
    "answer", ["no", "", False, [], {}, {"decision": "Approve"}, {"decision": ["approve"]}], ids=repr
)
async def test_what_is_not_clearly_an_approval_drops_the_plan(graph: Graph, answer: Any) -> None:
    await say(graph, "Create a login app with form, validation and backend")
    values = await resume(graph, answer)
    assert "__interrupt__" not in values
    assert not values.get("plan")
    told = next(m for m in values["messages"] if m.type == "tool" and m.name == "create_plan")
    assert '"status": "rejected"' in told.text


async def test_a_bare_object_is_the_result_of_a_call_that_was_allowed(graph: Graph) -> None:
    await say(graph, "Read notes.txt")
    values = await resume(graph, {"success": True, "content": "the text"})
    assert any("the text" in m.text for m in values["messages"] if m.type == "tool")


def test_no_node_hides_a_subgraph(graph: Graph) -> None:
    assert list(graph.get_subgraphs()) == []
