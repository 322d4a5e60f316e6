"""One model call of a node: streamed, its cost and its retries reported on the custom stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from langchain_core.messages import BaseMessage

from agents.budget import estimated_usage
from agents.custom_events import Writer
from context import Context
from errors import BudgetUsedUp, ModelError
from llm.chat_model import Retry
from llm.streaming import Reply
from telemetry import tracing
from tools.tool import Tool

Purpose = Literal["agent", "classifier", "summary"]
Outcome = Literal["ok", "reprompted", "implicit"]
"""How a reply is counted: `reprompted` = it was text where a call was wanted, and the model was asked once more;
`implicit` = it was text where a call was wanted, and the text counts. A call that gave no reply is `failed`."""


def hash_of_tools(tools: Sequence[Tool]) -> str:
    """Return a short SHA-256 of what a model is told of its tools."""
    return hashlib.sha256(declared(tools).encode()).hexdigest()[:12]


def declared(tools: Sequence[Tool]) -> str:
    """What a model is told of its tools, as JSON."""
    return f"[{', '.join(tool.declaration_text for tool in tools)}]"


async def call_model(
    context: Context,
    write: Writer,
    conversation: Sequence[BaseMessage],
    *,
    agent: str,
    purpose: Purpose,
    prompt_hash: str,
    message_id: str | None = None,
    tools: Sequence[Tool] = (),
    temperature: float | None = None,
    json_schema: Mapping[str, Any] | None = None,
    tool_choice: Literal["required", "none"] | None = None,
    several_calls: bool = False,
    text_calls: bool = True,
    may_be_empty: bool = False,
    on_text: Callable[[str], None] | None = None,
    outcome_of: Callable[[Reply], Outcome] = lambda _: "ok",
) -> Reply:
    """Call the model once, retries included, and report its cost; raises ModelError after reporting the failure."""

    if context.budget is not None and context.budget.is_used_up:
        raise BudgetUsedUp
    retries = 0

    def tell(outcome: str, **figures: Any) -> None:
        given = {"prompt_hash": prompt_hash, "tools_hash": hash_of_tools(tools), "message_id": message_id}
        metadata = {"purpose": purpose, "outcome": outcome, "retries": retries, **given, **figures}
        write({"event": "model_call", "agent": agent, "metadata": metadata})

    def tell_retry(retry: Retry) -> None:
        nonlocal retries
        retries += 1
        metadata = {
            "attempt": retry.attempt,
            "max_attempts": retry.max_attempts,
            "delay_seconds": round(retry.delay_s, 3),
            "code": retry.code,
        }
        write({"event": "retrying", "agent": agent, "metadata": metadata})

    started = context.clock()
    with tracing.span(
        f"chat {context.models.name}",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": context.models.name,
            "gen_ai.agent.name": agent,
            "gen_ai.request.temperature": temperature,
            "codelab.purpose": purpose,
        },
        kind="client",
    ) as span:
        try:
            reply: Reply = await context.models.reply(
                conversation,
                tools=tools,
                temperature=temperature,
                json_schema=json_schema,
                tool_choice=tool_choice,
                several_calls=several_calls,
                text_calls=text_calls,
                may_be_empty=may_be_empty,
                on_text=on_text,
                on_retry=tell_retry,
                before_attempt=context.before_model_request,
            )
        except ModelError as error:
            span.fail(error.code)
            tell("failed", error=error.code, started_at=started.isoformat(), duration_ms=context.ms_since(started))
            raise
        span.note(
            {
                "gen_ai.response.model": reply.model,
                "gen_ai.response.finish_reasons": [reply.finish_reason] if reply.finish_reason else None,
                "gen_ai.usage.input_tokens": reply.usage.prompt_tokens if reply.usage else None,
                "gen_ai.usage.output_tokens": reply.usage.completion_tokens if reply.usage else None,
                "codelab.attempts": reply.attempts,
            }
        )
    usage = reply.usage
    if context.budget is not None:
        counted = usage or estimated_usage(conversation, tools, reply)
        model = reply.model or context.models.name
        await context.budget.count(model, counted.prompt_tokens, counted.completion_tokens, counted.cached_tokens or 0)
    outcome = outcome_of(reply)
    tell(
        outcome,
        reprompted=tool_choice == "required",
        implicit=outcome == "implicit",
        model=reply.model,
        started_at=started.isoformat(),
        duration_ms=reply.duration_ms,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        total_tokens=usage.total_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        tool_calls=len(reply.calls),
        calls_were_text=reply.calls_were_text,
    )
    return reply
