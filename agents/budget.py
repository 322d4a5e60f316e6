"""Budgets: the question about one that is used up, before a model call (docs/decisions/0007-budgets.md)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.types import Send

from context import Context
from llm.streaming import Reply, Usage
from settings import Scope, Unit
from state import AgentState, Turn
from tools.tool import Tool

SUGGESTIONS = ["yes", "no"]
_MORE = "Go on with the same amount once more?"
_CHARS_PER_TOKEN = 3
ENDED = "The turn ended because its budget is used up."


@dataclass(frozen=True)
class Overrun:
    """A budget that is used up: figures in tokens, or in USD."""

    scope: Scope
    unit: Unit
    budget: float
    """The setting: by so much the user may let it go on."""
    used: float
    allowed: float
    """Up to where it may go without asking: the setting, or what the user allowed before."""
    days: int
    """Over how many days an owner's is counted."""

    @property
    def setting(self) -> str:
        """The setting's name, as `metadata.limit` names limits."""
        return f"budget_{self.unit}_per_{self.scope}"

    def as_wire(self) -> dict[str, Any]:
        """Return what the question's chunk says about it."""
        figures = {"used": self.used, "allowed": self.allowed, "more": self.budget}
        if self.unit == "tokens":
            figures = {name: round(figure) for name, figure in figures.items()}
        return {"setting": self.setting, "scope": self.scope, "unit": self.unit, **figures}

    def sentence(self) -> str:
        """Say it to the user."""
        used = f"used {_amount(self.used, self.unit)} of {_amount(self.allowed, self.unit)}"
        used += " tokens" if self.unit == "tokens" else ""
        match self.scope:
            case "turn":
                return f"This turn has {used}."
            case "session":
                return f"This session has {used}."
            case _:
                over = "today" if self.days == 1 else f"in the last {self.days} days"
                return f"All your sessions together have {used} {over}."


def _amount(figure: float, unit: Unit) -> str:
    if unit == "tokens":
        return f"{figure:,.0f}"
    return f"${figure:,.2f}" if figure >= 1 else f"${figure:.4f}"


class Budget(Protocol):
    """The budgets of a run: `runs/budget.py`."""

    @property
    def is_used_up(self) -> bool:
        """Whether one is used up, by the last reading and what the run has spent since."""
        ...

    async def overruns(self) -> list[Overrun]:
        """Read which are used up."""
        ...

    async def count(self, model: str, prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> None:
        """Count a model call."""
        ...


async def ask_for_budget(state: AgentState, context: Context, asker: Literal["router", "specialist"]) -> list[Send]:
    """Ask the user before the next model call of a run with budgets when one is used up; empty when none is.

    One question names all of them; `asker` goes on with the answer.
    """
    overruns: list[Overrun] = await context.budget.overruns()
    if not overruns:
        return []
    question = " ".join(["The budget is used up.", *(overrun.sentence() for overrun in overruns), _MORE])
    arguments = {
        "question": question,
        "suggestions": SUGGESTIONS,
        "budgets": [overrun.as_wire() for overrun in overruns],
    }
    asked = {
        "kind": "budget",
        "call_id": f"budget-{uuid.uuid4().hex}",
        "tool_name": "budget",
        "agent": state.get("agent") or "orchestrator",
        "arguments": arguments,
        "verdict": {},
        "turn": state.get("turn") or Turn(),
        "asker": asker,
        "question": question,
        "suggestions": SUGGESTIONS,
    }
    return [Send("question", asked)]


def estimated_usage(conversation: Sequence[BaseMessage], tools: Sequence[Tool], reply: Reply) -> Usage:
    """Estimate the tokens of a call whose server does not count them, so that a budget holds there too."""
    calls = [call["args"] for message in conversation if isinstance(message, AIMessage) for call in message.tool_calls]
    told = json.dumps([calls, [tool.declaration for tool in tools]])
    sent = len(told) + sum(len(str(message.content)) for message in conversation)
    written = len(reply.text) + sum(len(call.raw) for call in reply.calls)
    prompt_tokens, completion_tokens = sent // _CHARS_PER_TOKEN + 1, written // _CHARS_PER_TOKEN + 1
    return Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)
