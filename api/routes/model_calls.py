"""Why a session went as it did: its model calls, each with what it was given (docs/protocol.md, endpoints)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from langchain_core.messages import AnyMessage

from agents.replay import Given, given_to, role_of
from agents.thread.conversation import CHARS_PER_TOKEN
from api.dependencies import CallId, OpenEngine, Owner, SessionId, refusals
from api.routes.conversation import stored_message
from errors import AgentRuntimeError
from llm.prices import cost, read_prices
from nodes.specialist import INSTRUCTION_SHARE
from runs.engine import Engine
from storage.tables import llm_calls, messages, sessions
from storage.tables.llm_calls import LlmCall
from wire.rest.model_calls import ModelCalls, ModelCallView

router = APIRouter()
OTHER_PURPOSE = "What a call of this purpose was given is not rebuilt; its figures are what is kept."


class ModelCallUnknown(AgentRuntimeError):
    """No such model call in this session."""

    code = "not_found"
    status = 404


@router.get("/sessions/{session_id}/model-calls", responses=refusals(404, 503))
async def list_model_calls(session_id: SessionId, engine: OpenEngine, owner: Owner) -> ModelCalls:
    """Show every model call of a session with its cost, oldest first."""
    async with engine.database.autocommit() as tx:
        await sessions.find(tx, session_id, owner)
        found = await llm_calls.listing(tx, session_id)
    rows = [_shown(call, engine) for call in found]
    return ModelCalls.model_validate({"session_id": session_id, "model_calls": rows, "count": len(rows)})


@router.get("/sessions/{session_id}/model-calls/{model_call_id}", responses=refusals(404, 503))
async def get_model_call(
    session_id: SessionId, model_call_id: CallId, engine: OpenEngine, owner: Owner
) -> ModelCallView:
    """Show what a model call was given: rebuilt from the thread and today's prompt files; a difference is said."""
    async with engine.database.autocommit() as tx:
        session = await sessions.find(tx, session_id, owner)
        calls = await llm_calls.listing(tx, session_id)
        history = await messages.history(tx, session_id)
    call = next((call for call in calls if call.id == model_call_id), None)
    if call is None:
        raise ModelCallUnknown(f"Model call {model_call_id} not found in this session")
    reply = next((record for record in history if record.id == call.message_id), None)
    given = Given(None, [], [], [OTHER_PURPOSE])
    if call.purpose == "agent":
        given = await _rebuilt(engine, session_id, call, session.environment)
    return ModelCallView.model_validate(
        {
            **_shown(call, engine),
            "prompt": given.prompt,
            "tools": given.tools,
            "messages": [{"role": role_of(m), "name": m.name, "content": str(m.text)} for m in given.messages],
            "reply": stored_message(reply) if reply else None,
            "cautions": given.cautions,
        }
    )


def _shown(call: LlmCall, engine: Engine) -> dict[str, Any]:
    """The row of a call with its price."""
    prices = read_prices(engine.settings.llm_prices_file)
    tokens = (call.prompt_tokens or 0, call.completion_tokens or 0, call.cached_tokens or 0)
    paid = cost(call.model or "", *tokens, prices=prices)
    return {**vars(call), "cost_usd": None if paid is None else float(paid)}


async def _rebuilt(engine: Engine, session_id: str, call: LlmCall, environment: dict[str, Any] | None) -> Given:
    graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver()})
    snapshot = await graph.aget_state({"configurable": {"thread_id": session_id}})
    thread: list[AnyMessage] = snapshot.values.get("messages", [])
    place = next((i for i, m in enumerate(thread) if m.id == call.message_id), None)
    return given_to(
        vars(call),
        thread[:place] if place is not None else None,
        snapshot.values.get("plan"),
        environment,
        multi_agent=engine.settings.multi_agent_mode,
        instruction_chars=round(INSTRUCTION_SHARE * engine.settings.llm_context_tokens * CHARS_PER_TOKEN),
    )
