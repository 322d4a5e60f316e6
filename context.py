"""The dependencies of one run, through LangGraph's `Runtime[Context]`; every field has a default, for Studio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal, cast

from langgraph.runtime import Runtime
from pydantic.json_schema import SkipJsonSchema

from llm.chat_model import Models
from policy.decide import Facts
from policy.rules import Rules, load_rules


@cache
def _scripted_models() -> Models:
    return Models()


@cache
def _built_in_rules() -> Rules:
    return load_rules()


async def _none_used(call_ids: Iterable[str]) -> set[str]:  # noqa: ARG001 the signature of the field
    return set()


async def _is_ours() -> None:
    """A run without a database is nobody else's."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """The dependencies and limits of one run. Fields are typed Any because Studio builds a JSON schema of them."""

    models: Annotated[Any, SkipJsonSchema()] = field(default_factory=_scripted_models)
    """The chat model client: an `llm.chat_model.Models`."""
    rules: Annotated[Any, SkipJsonSchema()] = field(default_factory=_built_in_rules)
    """The policy's rules: a `policy.rules.Rules`."""
    facts: Annotated[Any, SkipJsonSchema()] = field(default_factory=Facts)
    """What the policy knows of the session: a `policy.decide.Facts`."""
    used_calls: Annotated[Any, SkipJsonSchema()] = _none_used
    """Async function: returns which of these call ids the session has already used."""
    write: Annotated[Any, SkipJsonSchema()] = None
    """Takes the events of nodes at once, or None for LangGraph's custom stream, where each costs a turn of its loop."""
    before_model_request: Annotated[Any, SkipJsonSchema()] = _is_ours
    """Async function, called before each request to a model: raises when another worker has the run by now."""
    classifications: Annotated[Any, SkipJsonSchema()] = None
    """The `agents.classification_cache.ClassificationCache` of this process, or None to classify every time."""
    clock: Annotated[Any, SkipJsonSchema()] = _now
    """The time as an aware UTC datetime."""
    budget: Annotated[Any, SkipJsonSchema()] = None
    """The budgets of the run, an `agents.budget.Budget`; None without any."""
    environment: Annotated[Any, SkipJsonSchema()] = None
    """What the client declared of its machine, for the prompt; a dict or None."""
    multi_agent: bool = True
    edits_are_judged: bool = False
    """Whether edited arguments were judged where they were decided, as the server does; else `approval` judges them."""
    offer_all_calls: bool = True
    """Whether every call of a reply is offered (protocol version 2) or the first alone (version 1)."""
    switch_approval: bool = False
    max_model_calls: int = 50
    max_tool_result_chars: int = 32_768
    context_tokens: int = 128_000
    """The size of the model's context window in tokens; at 80 % of it the thread is compacted."""
    switches_left: int = 50
    """The number of switches that agents may still make in this session."""
    reprompt: bool = True
    """Whether the model is reprompted once when a due tool call is missing; False only to measure the effect."""
    prompt_size: Literal["auto", "guided", "concise"] = "auto"
    """Which prompts the agents get; `auto` goes by the model's name (`prompts/size.py`)."""
    prompt_reload: bool = False

    def ms_since(self, started: datetime) -> int:
        """Whole milliseconds since `started`."""
        elapsed: timedelta = self.clock() - started
        return round(elapsed.total_seconds() * 1000)


def writer_of(runtime: Runtime[Context]) -> Callable[[Any], None]:
    """Where the nodes of a run write their events (`agents/custom_events.py`)."""
    return context_of(runtime).write or runtime.stream_writer


def context_of(runtime: Runtime[Context]) -> Context:
    """The context of a run; Studio gives none."""
    return cast(Context | None, runtime.context) or Context()
