"""Call the model for an agent's next step; reprompt once where a tool call is due (docs/decisions/0005-reprompt.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from agents import custom_events
from agents.model_call import Outcome, Writer, call_model
from agents.replies.reprompt import Missing, is_markup_of_call, missing_call
from agents.replies.written_plan import plan_in_json, plan_in_text
from agents.roster import Agent
from agents.thread.conversation import answered_tools, last_request
from context import Context
from errors import ModelError
from llm.chat_model import Reply, WrittenCall
from llm.tool_calls import written_call
from prompts.render import Prompt
from tools.attempt_completion import ATTEMPT_COMPLETION
from tools.create_plan import CREATE_PLAN
from tools.tool import Tool

_NUDGES: dict[Missing, str] = {
    "plan": "No tool was called, so nobody can approve or run this. The task has several steps: call create_plan now "
    "with these steps. If a plan is wrong here, call attempt_completion or ask_followup_question.",
    "action": "No tool was called, so nothing happened. Make the call that is needed now, exactly one. If nothing is "
    "left to do, call attempt_completion with the answer.",
    "claim": "No tool was called, so nothing was done. Make the call that does it now, exactly one. If nothing is "
    "to be done, call attempt_completion and say so.",
    "file": "Code in a reply changes no file. If the user wants it in the project, call write_file now; if the reply "
    "was the whole answer, call attempt_completion.",
}
_HOW = (
    " Use the tool interface; where you have none, reply with nothing but one JSON object: "
    '{"name": "the tool", "arguments": {"its": "arguments"}}'
)


@dataclass(frozen=True)
class Said:
    """What came of asking: one reply, or two that count as one."""

    text: str
    """What is shown: the text of the first reply."""
    calls: tuple[WrittenCall, ...]
    model_calls: int
    implicit: bool
    """Whether the contract wanted a call, none came, and the text has to count as the completion."""
    prompt_tokens: int | None
    """The server's count of the first request."""


async def ask(
    context: Context,
    write: Writer,
    conversation: Sequence[BaseMessage],
    *,
    agent: Agent,
    prompt: Prompt,
    tools: Sequence[Tool],
    message_id: str,
    needs_plan: bool,
    may_insist: bool,
) -> Said:
    """Ask the model; raises ModelError only where not even a text came."""
    request = last_request(conversation)
    called = answered_tools(conversation)
    offered = {tool.name for tool in tools}

    def missing_in(reply: Reply) -> Missing | None:
        if reply.calls:
            return None
        return missing_call(reply.text, agent, offered, called, needs_plan=needs_plan, request=request)

    def outcome_of(reply: Reply) -> Outcome:
        missing = missing_in(reply)
        if missing is None:
            return "ok"
        return "insisted" if may_insist and not (missing == "plan" and plan_in_json(reply.text)) else "implicit"

    shown = _Shown(lambda delta: write(custom_events.text(message_id, delta)), holds_json=needs_plan)
    fixed: dict[str, Any] = {"agent": agent.name, "purpose": "agent", "prompt_hash": prompt.hash, "tools": tools}
    first = await call_model(context, write, conversation, on_text=shown, outcome_of=outcome_of, **fixed)
    tokens = first.usage.prompt_tokens if first.usage else None
    missing = missing_in(first)
    if missing == "plan":
        arguments = plan_in_json(first.text)
        if arguments is not None:
            text = first.text if shown.is_open else ""
            return Said(text, (_plan_call(arguments),), 1, False, tokens)
    shown.open()
    if missing is None or not may_insist:
        return Said(first.text, first.calls, 1, missing is not None, tokens)
    # a call in a markup of its own would be copied once more
    said = [] if is_markup_of_call(first.text) else [AIMessage(first.text)]
    again: list[BaseMessage] = [*conversation, *said, _nudge(missing)]
    try:
        second = await call_model(
            context,
            write,
            again,
            tool_choice="required",
            outcome_of=lambda reply: "ok" if reply.calls else "implicit",
            **fixed,
        )
    except ModelError:
        second = None
    calls, implicit = _settle(first, second, missing, request)
    return Said(first.text, calls, 2, implicit, tokens)


def _settle(first: Reply, second: Reply | None, missing: Missing, request: str) -> tuple[tuple[WrittenCall, ...], bool]:
    """The calls that insisting brought, and whether the first text has to count as the completion."""
    calls = second.calls if second else ()
    if calls and missing in ("plan", "file") and all(call.name == ATTEMPT_COMPLETION.name for call in calls):
        return (), False  # the model confirms that its text was the answer; it is not shown twice
    if calls or missing != "plan":
        return calls, not calls
    texts = [reply.text for reply in (second, first) if reply is not None]
    arguments = next((found for text in texts if (found := plan_in_json(text) or plan_in_text(text, request))), None)
    return ((_plan_call(arguments),), False) if arguments is not None else ((), True)


def _plan_call(arguments: dict[str, Any]) -> WrittenCall:
    return written_call("", CREATE_PLAN.name, json.dumps(arguments, ensure_ascii=False))


def _nudge(missing: Missing) -> HumanMessage:
    """At the end, not in the system prompt: a server's cache of the prompt stays good."""
    return HumanMessage(_NUDGES[missing] + _HOW, additional_kwargs={"hidden": True, "nudge": True})


class _Shown:
    """Passes text on; where a plan is wanted, text that begins like JSON waits, because it may be the plan."""

    def __init__(self, show: Callable[[str], None], *, holds_json: bool) -> None:
        self._show = show
        self._held = ""
        self.is_open = not holds_json

    def __call__(self, delta: str) -> None:
        if self.is_open:
            self._show(delta)
            return
        self._held += delta
        begin = self._held.lstrip()
        if begin and begin[0] not in "{`":
            self.open()

    def open(self) -> None:
        """Show what was held, and from now on everything at once."""
        self.is_open = True
        held, self._held = self._held, ""
        if held:
            self._show(held)
