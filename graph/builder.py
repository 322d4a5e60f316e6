"""The wiring of the graph; the `Command[Literal[…]]` of each node states which nodes may follow it."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from agents.thread.conversation import first_node
from context import Context
from nodes.approval import wait_for_approval
from nodes.ide_call import wait_for_result
from nodes.local_call import run_locally
from nodes.plan_review import wait_for_decision
from nodes.plan_step import advance
from nodes.question import wait_for_answer
from nodes.router import route
from nodes.specialist import work
from state import AgentState


def build_graph(checkpointer: Checkpointer = None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile the agent graph; without a checkpointer for LangGraph Studio, which brings its own."""
    builder = StateGraph(AgentState, context_schema=Context)
    builder.add_node("router", route)
    builder.add_node("specialist", work)
    builder.add_node("local_call", run_locally)
    builder.add_node("ide_call", wait_for_result)
    builder.add_node("approval", wait_for_approval)
    builder.add_node("question", wait_for_answer)
    builder.add_node("plan_review", wait_for_decision)
    builder.add_node("plan_step", advance)
    builder.add_conditional_edges(START, first_node)
    return builder.compile(checkpointer=checkpointer, name="agent")
