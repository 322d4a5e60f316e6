"""The orchestrator: choose the agent for a request, then hand over (protocol section 8)."""

from __future__ import annotations

from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from context import Context, context_of
from errors import ModelError
from nodes import events
from nodes.calling import call_model
from nodes.classification import CLASSIFICATION_SCHEMA, Classification, classify_by_keywords, read_classification
from nodes.roster import AGENTS
from prompts.render import classifier_prompt
from state import AgentState

TEMPERATURE = 0.3
TURNS_SHOWN = 6
CHARS_SHOWN = 2000


async def route(state: AgentState, runtime: Runtime[Context]) -> Command[Literal["specialist"]]:
    """Classify while the orchestrator is current; a specialist stays until somebody switches (S2)."""
    context = context_of(runtime)
    current = state.get("agent") or "orchestrator"
    if current != "orchestrator":
        return Command(goto="specialist")
    if not context.multi_agent:
        reason = "Single-agent mode: only Universal agent available"
        runtime.stream_writer(events.switched(current, "universal", reason, "high", "single"))
        return Command(update={"agent": "universal", "chosen_by": "router"}, goto="specialist")
    chosen = await classify(state, context, runtime)
    previous = state.get("previous_agent") or "orchestrator"
    if chosen.agent != previous:
        runtime.stream_writer(events.switched(previous, chosen.agent, chosen.reason, chosen.confidence, chosen.method))
    return Command(update={"agent": chosen.agent, "chosen_by": "router"}, goto="specialist")


async def classify(state: AgentState, context: Context, runtime: Runtime[Context]) -> Classification:
    """Ask the model; when it fails or answers nonsense, count keywords."""
    request = last_request(state)
    prompt = classifier_prompt([(a.label, a.when) for a in AGENTS if a.label], reload=context.prompt_reload)
    conversation: list[BaseMessage] = [SystemMessage(prompt.text), HumanMessage(conversation_text(state))]
    try:
        reply = await call_model(
            context,
            runtime.stream_writer,
            conversation,
            agent="orchestrator",
            purpose="classifier",
            prompt_hash=prompt.hash,
            temperature=TEMPERATURE,
            json_schema=CLASSIFICATION_SCHEMA,
        )
    except ModelError:
        return classify_by_keywords(request)
    return read_classification(reply.text) or classify_by_keywords(request)


def last_request(state: AgentState) -> str:
    """The text of the newest user message."""
    for message in reversed(state.get("messages", [])):
        if isinstance(message, HumanMessage):
            return str(message.text)
    return ""


def conversation_text(state: AgentState) -> str:
    """The last turns as the classifier reads them, the request last and in full."""
    spoken = [m for m in state.get("messages", []) if m.type in ("human", "ai") and str(m.text).strip()]
    names = {"human": "User", "ai": "Assistant"}
    earlier = [f"{names[m.type]}: {str(m.text)[:CHARS_SHOWN]}" for m in spoken[-TURNS_SHOWN - 1 : -1]]
    request = last_request(state)
    if not earlier:
        return request
    return "Earlier in this conversation:\n" + "\n".join(earlier) + f"\n\nThe request to classify:\n{request}"
