"""The orchestrator: choose the agent for a request, then hand over (docs/routing.md).

Scenarios such as S2: docs/scenarios.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from agents import custom_events
from agents.budget import ask_for_budget
from agents.classification import CLASSIFICATION_SCHEMA, Classification, classify_by_keywords, read_classification
from agents.classification_cache import ClassificationCache
from agents.custom_events import Writer
from agents.model_call import call_model
from agents.roster import ALONE, BY_LABEL, ROUTER
from agents.thread.conversation import enter, last_request, spoken
from context import Context, context_of, writer_of
from errors import ModelError
from prompts.render import classifier_prompt
from state import AgentState

TEMPERATURE = 0.3
TURNS_SHOWN = 6
CHARS_SHOWN = 2000


async def route(state: AgentState, runtime: Runtime[Context]) -> Command[Literal["specialist", "question"]]:
    """Close what the last turn left open; classify while the orchestrator is current.

    A specialist stays current until a switch (S2).
    """
    context = context_of(runtime)
    update = enter(state)
    current = state.get("agent") or ROUTER.name
    if current != ROUTER.name:
        return Command(update=update, goto="specialist")
    if not context.multi_agent:
        reason = f"Single-agent mode: only {ALONE.title} agent available"
        writer_of(runtime)(custom_events.switched(current, ALONE.name, reason, "high", "single"))
        return Command(update={**update, "agent": ALONE.name, "chosen_by": "router"}, goto="specialist")
    asked = await ask_for_budget(state, context, "router") if context.budget is not None else []
    if asked:
        return Command(update=update, goto=asked)
    chosen = await classify(state.get("messages", []), context, writer_of(runtime))
    if not chosen.is_atomic:
        update["turn"] = {**update.get("turn", state.get("turn") or {}), "planning": True}
    previous = state.get("previous_agent") or ROUTER.name
    if chosen.agent != previous:
        writer_of(runtime)(
            custom_events.switched(previous, chosen.agent, chosen.reason, chosen.confidence, chosen.method)
        )
    return Command(update={**update, "agent": chosen.agent, "chosen_by": "router"}, goto="specialist")


async def classify(messages: Sequence[BaseMessage], context: Context, write: Writer) -> Classification:
    """Ask the model; when it fails or its reply cannot be read, use the keywords."""
    request, conversation = last_request(messages), conversation_text(messages)
    earlier = spoken(messages)[:-1]
    prompt = classifier_prompt([(label, a.when) for label, a in BY_LABEL.items()], reload=context.prompt_reload)
    classifications = cast(ClassificationCache | None, context.classifications)
    known = classifications.find(prompt.text, conversation) if classifications is not None else None
    if known is not None:
        return known
    try:
        reply = await call_model(
            context,
            write,
            [SystemMessage(prompt.text), HumanMessage(conversation)],
            agent=ROUTER.name,
            purpose="classifier",
            prompt_hash=prompt.hash,
            temperature=TEMPERATURE,
            json_schema=CLASSIFICATION_SCHEMA,
        )
    except ModelError:
        return classify_by_keywords(request, earlier)
    chosen = read_classification(reply.text) or classify_by_keywords(request, earlier)
    if classifications is not None:
        classifications.keep(prompt.text, conversation, chosen)
    return chosen


def conversation_text(messages: Sequence[BaseMessage]) -> str:
    """The last turns as the classifier reads them, the request last and in full."""
    turns = spoken(messages)[-TURNS_SHOWN - 1 : -1]
    earlier = [f"{'User' if turn.by_user else 'Assistant'}: {turn.text[:CHARS_SHOWN]}" for turn in turns]
    request = last_request(messages)
    if not earlier:
        return request
    return "Earlier in this conversation:\n" + "\n".join(earlier) + f"\n\nThe request to classify:\n{request}"
