"""The state of a thread: messages and plain JSON-shaped data, so that every checkpoint can be loaded."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from langchain_core.messages import AnyMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import _messages_delta_reducer


class Turn(TypedDict, total=False):
    """Counters of one turn, from the user's message over all its pauses."""

    model_calls: int
    hops: int
    bad_replies: int
    denials: dict[str, int]
    """How often each call (tool and arguments) was denied."""
    recent_calls: list[str]
    """The signatures of the last calls, to notice a model that repeats a cycle of calls."""
    cycles: int
    """How often the model repeated such a cycle."""
    replaces: str
    """The plan that the next plan replaces, after the user asked to modify it."""
    planning: bool
    """Whether the classifier said that the request has several steps; set by the router."""
    compacted_at: int
    """How many messages the thread had after its compaction."""
    stopped_by: str
    """The used-up budget by which the user let the turn end; set by the question."""
    recompactions: int
    """The compactions that were made because the model's server refused a request as too long."""


class CompiledCall(TypedDict):
    """A call of the model that calls of other tools carry out, because the client does not run its tool."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    verdict: dict[str, Any]
    as_text: bool


class DecidedCall(TypedDict):
    """A call with the policy's verdict, which is never computed again."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    agent: str
    verdict: dict[str, Any]
    as_text: NotRequired[bool]
    """Whether it was found in the text of the reply; present when it was."""
    part_of: NotRequired[CompiledCall]
    """The model's call, where this one carries out a part of it."""


class AskedQuestion(DecidedCall):
    """A question to the user, as the question node receives it."""

    kind: Literal["question", "switch", "budget"]
    question: str
    suggestions: list[str]
    turn: Turn
    asker: NotRequired[Literal["router", "specialist"]]
    """The node that goes on after a question about a budget."""


class DraftPlan(DecidedCall):
    """A plan for review, as the plan_review node receives it."""

    plan: dict[str, Any]
    turn: Turn
    chosen_by: str


class AgentState(TypedDict, total=False):
    """The state of the graph."""

    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=500)]
    """The window of the conversation that the model reads; appended by every node, all with ids of ours."""
    agent: str
    """The current agent; set by the input, the router and a switch."""
    chosen_by: str
    """Who chose it: `user`, `router` or `agent`; set together with `agent`."""
    previous_agent: str
    """The agent before this turn was sent to the router; set by the input."""
    turn: Turn | None
    """Set to {} by the input of a new turn, counted up by the specialist and cleared with its last answer: LangGraph's
    saver then stores no value of its own for it."""
    round: list[DecidedCall]
    """Calls of the last reply that are not dispatched yet; written and emptied by the specialist."""
    native_callers: list[str]
    """The models that have made a call through the tool interface in this session; added to by the specialist. Of
    these a call written as text is only text."""
    plan: dict[str, Any] | None
    """The plan that is executing; set by plan_review, advanced and cleared by plan_step, and cleared by the router when
    a new message came in between."""


def tool_message_id(call_id: str) -> str:
    """The id of the one ToolMessage of a call: writing it twice changes nothing."""
    return f"tool:{call_id}"


def tool_message(call_id: str, tool_name: str, content: str) -> ToolMessage:
    """Build the one ToolMessage of a call."""
    return ToolMessage(content=content, tool_call_id=call_id, name=tool_name, id=tool_message_id(call_id))


def answer_to(call: DecidedCall, content: str) -> ToolMessage:
    """Build the one ToolMessage of the model's call that `call` is, or carries out a part of."""
    of_model = call.get("part_of", call)
    return tool_message(of_model["call_id"], of_model["tool_name"], content)
