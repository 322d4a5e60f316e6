"""Call the model for an agent's next step; reprompt once where a tool call is due (docs/decisions/0005-reprompt.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from agents.custom_events import Writer
from agents.model_call import Outcome, call_model
from agents.replies.cut_reply import finish_calls, finish_text
from agents.replies.reprompt import Missing, is_markup_of_call, missing_call
from agents.replies.written_plan import plan_in_json, plan_in_text
from agents.roster import Agent
from agents.thread.conversation import answered_tools, last_request
from context import Context
from errors import ModelError
from llm.chat_model import WrittenCall
from llm.streaming import Reply
from llm.tool_calls import written_call
from prompts.render import Prompt
from tools.attempt_completion import ATTEMPT_COMPLETION
from tools.create_plan import CREATE_PLAN
from tools.tool import Tool

_REPROMPTS: dict[Missing, str] = {
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

_ASKS_TO_SHOW = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"\b(?:show|example|sample|document|explain|describe|what|how|docs|documentation|readme|format|syntax|quote|print"
        r"|repeat|give me)\b.{0,80}\b(?:tool|function)[ -]?calls?\b",
        r"\b(?:tool|function)[ -]?calls?\b.{0,80}\b(?:look|format|syntax|example|sample|written|json|mean|work)\b",
        r"\b(?:покажи|пример|объясни|опиши|формат|как|что|выглядит|процитируй|приведи)\b.{0,80}\bвызов\w*",
        r"\bвызов\w*.{0,80}\b(?:выглядит|формат|пример|json|работает|значит)\b",
    )
)


@dataclass(frozen=True)
class Said:
    """The result of asking: one reply, or several that count as one."""

    text: str
    """What is shown: the text of the first reply."""
    calls: tuple[WrittenCall, ...]
    model_calls: int
    implicit: bool
    """Whether the contract wanted a call, none came, and the text has to count as the completion."""
    prompt_tokens: int | None
    """The server's count of the first request."""
    as_text: bool = False
    """Whether the calls were found in the text of a reply."""
    is_native: bool = False
    """Whether the model made a call through the tool interface."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What the provider wrote beside the reply that the calls, or else the text, came with."""

    @property
    def is_nothing(self) -> bool:
        """Whether the model ended its turn without a word."""
        return not self.calls and not self.text.strip()


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
    spare_calls: int,
    several_calls: bool,
    text_calls: bool,
) -> Said:
    """Ask the model; raises ModelError only where not even a text came.

    `spare_calls`: how many more requests this reply may take. `several_calls`: whether it may hold more than one call.
    `text_calls`: whether calls in the text may count.
    """
    request = last_request(conversation)
    text_calls = text_calls and not asks_to_show_call(request)
    called = answered_tools(conversation)
    offered = {tool.name for tool in tools}
    may_reprompt = context.reprompt and spare_calls > 0

    judged: list[tuple[Reply, Missing | None]] = []

    def missing_in(reply: Reply) -> Missing | None:
        """Asked for once to count the reply and once to go on: judged once."""
        for known, missing in judged:
            if known is reply:
                return missing
        missing = None
        if not reply.calls and reply.text.strip():
            missing = missing_call(
                reply.text, agent, offered, called, needs_plan=needs_plan, request=request, text_calls=text_calls
            )
        judged.append((reply, missing))
        return missing

    def outcome_of(reply: Reply) -> Outcome:
        missing = missing_in(reply)
        if missing is None:
            return "ok"
        return "reprompted" if may_reprompt and not (missing == "plan" and plan_in_json(reply.text)) else "implicit"

    def show(delta: str) -> None:
        write({"event": "text", "message_id": message_id, "content": delta})

    shown = _Shown(show, holds_json=needs_plan)
    fixed: dict[str, Any] = {"agent": agent.name, "purpose": "agent", "prompt_hash": prompt.hash, "tools": tools}
    fixed["message_id"] = message_id
    first = await call_model(
        context,
        write,
        conversation,
        several_calls=several_calls,
        text_calls=text_calls,
        may_be_empty=isinstance(conversation[-1], ToolMessage),
        on_text=shown,
        outcome_of=outcome_of,
        **fixed,
    )
    tokens = first.usage.prompt_tokens if first.usage else None

    async def ask_again(further: Sequence[BaseMessage], may_call: bool) -> Reply:
        """Go on after a reply that was cut: its text is shown only where it continues a shown one."""
        options = {"text_calls": text_calls, "on_text": shown} if may_call else {"tool_choice": "none"}
        return await call_model(context, write, [*conversation, *further], **{"text_calls": False, **options, **fixed})

    used = 0
    if first.cut_calls:
        first, used = await finish_calls(first, ask_again, spare_calls)
    elif first.finish_reason == "length" and not first.calls and not is_markup_of_call(first.text):
        first, used = await finish_text(first, ask_again, spare_calls)
    spare_calls -= used
    said = _said(first, 1 + used, tokens)
    missing = missing_in(first)
    if missing == "plan":
        arguments = plan_in_json(first.text)
        if arguments is not None:
            return replace(said, text=first.text if shown.is_open else "", calls=(_plan_call(arguments),))
    shown.open()
    if missing is None or not may_reprompt or spare_calls <= 0:
        return replace(said, implicit=missing is not None)
    # a call in a markup of its own would be copied once more
    before = [] if is_markup_of_call(first.text) else [AIMessage(first.text)]
    again: list[BaseMessage] = [*conversation, *before, _reprompt_message(missing)]
    try:
        second = await call_model(
            context,
            write,
            again,
            tool_choice="required",
            text_calls=text_calls,
            outcome_of=lambda reply: "ok" if reply.calls else "implicit",
            **fixed,
        )
    except ModelError:
        second = None
    calls, implicit = _settle(first, second, missing, request)
    if second is not None and calls == second.calls:
        said = _said(second, 0, tokens)
    return replace(said, text=first.text, calls=calls, model_calls=2 + used, implicit=implicit)


def _said(reply: Reply, model_calls: int, tokens: int | None) -> Said:
    return Said(
        reply.text,
        reply.calls,
        model_calls,
        False,
        tokens,
        as_text=reply.calls_were_text,
        is_native=bool(reply.calls) and not reply.calls_were_text,
        extras=reply.extras,
    )


def _settle(first: Reply, second: Reply | None, missing: Missing, request: str) -> tuple[tuple[WrittenCall, ...], bool]:
    """The calls that reprompting brought, and whether the first text has to count as the completion."""
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


def _reprompt_message(missing: Missing) -> HumanMessage:
    """The last message, not a part of the system prompt, so that the server's prompt cache stays valid."""
    return HumanMessage(_REPROMPTS[missing] + _HOW, additional_kwargs={"hidden": True, "reprompt": True})


def asks_to_show_call(request: str) -> bool:
    """Whether a user wants to see what a call looks like: then a call in the answer is only shown."""
    return any(pattern.search(request) for pattern in _ASKS_TO_SHOW)


class _Shown:
    """Forwards text; where a plan is due, text that begins like JSON is held back, because it may be the plan."""

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
