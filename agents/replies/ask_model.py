"""Call the model for an agent's next step, and judge whether a reply of text alone is an answer.

docs/decisions/0005-reprompt.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agents.classification import classify_by_keywords
from agents.custom_events import Writer
from agents.model_call import Outcome, call_model
from agents.replies.cut_reply import finish_calls, finish_text
from agents.replies.reprompt import Missing, reprompt, settled
from agents.replies.written_plan import plan_call, plan_in_json
from agents.roster import DOCUMENT_TOOLS, ROSTER, Agent
from agents.thread.conversation import answered_tools, last_request
from context import Context
from llm.chat_model import WrittenCall
from llm.reply.syntaxes import CALL_HEAD
from llm.streaming import Reply
from prompts.render import Prompt
from tools.create_plan import CREATE_PLAN
from tools.tool import Tool

ANNOUNCEMENT_CHARS = 1200
"""Characters; a longer text counts as an answer, whatever its last sentence announces."""
QUESTION_CHARS = 4000
"""So much of the end of a text is read to say whether it asks something."""

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?…:])\s+|\n+")
_OFFER = re.compile(
    r"\b(if|once|when|after|unless|would you|let me know|happy to|glad to|can also)\b"
    r"|\b(если|когда|могу|хотите|скажите|дайте знать|после того)\b",
    re.IGNORECASE,
)
_VERBS = (
    r"(?:create|write|read|open|look|check|search|find|run|execute|update|change|modify|edit|add|implement|fix|list"
    r"|inspect|analy[sz]e|examine|make|build|refactor|rename|delete|remove|install|test|investigate|explore|start"
    r"|begin|proceed|continue|review|scan|generate|prepare|set up|take a look)"
)
_GERUNDS = (
    r"(?:creating|writing|reading|opening|looking|checking|searching|running|executing|updating|changing|modifying"
    r"|editing|adding|implementing|fixing|listing|inspecting|analy[sz]ing|generating|proceeding)"
)
_FILLER = r"(?:(?:now|first|then|next|just|also|quickly|start by|begin by|go ahead and|have to|need to)\s+)*"
_ENGLISH = re.compile(
    rf"\b(?:i(?:'ll| will| am going to|'m going to| am about to|'m about to| need to| have to)|let me|let's)\s+"
    rf"{_FILLER}(?:{_VERBS}|{_GERUNDS})\b|^(?:now\s+|first,?\s+|next,?\s+)?{_GERUNDS}\b[^.]*(?:\.\.\.|…|\bnow\b)",
    re.IGNORECASE,
)
_RUSSIAN = re.compile(
    r"\b(?:созда[мю]|напишу|прочитаю|прочту|посмотрю|открою|проверю|найду|поищу|запущу|выполню|изменю|исправлю|обновлю"
    r"|добавлю|реализую|внесу|переименую|удалю|изучу|просмотрю|начну|приступлю|приступаю|проанализирую|подготовлю"
    r"|сделаю|запускаю|создаю|читаю|начинаю|открываю|проверяю)\b|\bдава(?:й|йте)\s+\w+(?:им|ем|ём)\b",
    re.IGNORECASE,
)

_MARKUP = re.compile(
    r"<(?:tools?|tool_(?:call|use|response|result)|function(?:_call|s)?|invoke)\b[^\n]*[>=]", re.IGNORECASE
)
_FENCE_HEAD = re.compile(r"\A```\w*\s*")
_NAMED_CALL = re.compile(r"(?:[-*+]\s+|\d+[.)]\s+)?`?(\w+)`?:?\s*[({]")
"""How a call begins that names its tool before the arguments, also as the first of a list."""
_CLAIM = re.compile(
    r"\b(?:has|have|was|were|been|successfully|i(?:'ve| have)?|is now|now)\s+(?:\w+\s+)?"
    r"(?:created|written|wrote|updated|changed|modified|replaced|added|appended|removed|deleted|renamed|executed|implemented|fixed)\b"
    r"|^(?:created|wrote|updated|changed|replaced|added|appended|removed|deleted|renamed|executed|implemented|fixed)\b"
    r"|\b(?:создан|записан|изменён|изменен|обновлён|обновлен|добавлен|удалён|удален|заменён|заменен|переименован"
    r"|выполнен|исправлен)(?:а|о|ы)?\b|\bя\s+(?:создал|записал|изменил|обновил|добавил|удалил|заменил|исправил)",
    re.IGNORECASE | re.MULTILINE,
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
    elif first.finish_reason == "length" and not first.calls and not is_markup_of_call(first.text, offered):
        first, used = await finish_text(first, ask_again, spare_calls)
    spare_calls -= used
    said = _said(first, 1 + used, tokens)
    missing = missing_in(first)
    if missing == "plan":
        arguments = plan_in_json(first.text)
        if arguments is not None:
            return replace(said, text=first.text if shown.is_open else "", calls=(plan_call(arguments),))
    shown.open()
    if missing is None or not may_reprompt or spare_calls <= 0:
        return replace(said, implicit=missing is not None)

    async def ask_for_call(further: Sequence[BaseMessage]) -> Reply:
        return await call_model(
            context,
            write,
            [*conversation, *further],
            tool_choice="required",
            text_calls=text_calls,
            outcome_of=lambda reply: "ok" if reply.calls else "implicit",
            **fixed,
        )

    # a call in a markup of its own would be copied once more
    before = [] if is_markup_of_call(first.text, offered) else [AIMessage(first.text)]
    second = await reprompt(ask_for_call, before, missing)
    calls, implicit = settled(first, second, missing, request)
    if second is not None and calls == second.calls:
        said = _said(second, 0, tokens)
    return replace(said, text=first.text, calls=calls, model_calls=2 + used, implicit=implicit)


def missing_call(
    text: str,
    agent: Agent,
    offered: Collection[str],
    called: Collection[str],
    *,
    needs_plan: bool,
    request: str,
    text_calls: bool,
) -> Missing | None:
    """Return which call is missing in a reply of text alone; None where the text is the answer.

    `called` are the tools that were called since the user spoke last; `needs_plan` = the request was classified as
    not atomic and no plan was made of it yet (docs/decisions/0005-reprompt.md); `text_calls` = the model may write
    calls as text, so markup that could not be read may be one.
    """
    if not offered:
        return None
    if text_calls and is_markup_of_call(text, offered):
        return "action"
    if is_question(text):
        return None
    has_written = not DOCUMENT_TOOLS.isdisjoint(called)
    if needs_plan and CREATE_PLAN.name in offered and not has_written:
        return "plan"
    if announces_action(text):
        return "action"
    if agent.writes != "any" or has_written:
        return None
    found: Missing | None = "file" if _FENCE.search(text) else None
    if found is None and not called and claims_action(text):
        found = "claim"
    return found if found and ROSTER[classify_by_keywords(request).agent].writes == "any" else None


def is_markup_of_call(text: str, offered: Collection[str]) -> bool:
    """Whether a text is a call, or the result of one, in a form that could not be parsed."""
    bare = _FENCE_HEAD.sub("", text.lstrip())
    named = _NAMED_CALL.match(bare)
    return bool(_MARKUP.match(text.lstrip()) or CALL_HEAD.match(bare) or (named and named[1] in offered))


def claims_action(text: str) -> bool:
    """Whether a text claims that something was made, changed or run."""
    return len(text) <= ANNOUNCEMENT_CHARS and bool(_CLAIM.search(text))


def is_question(text: str) -> bool:
    """Whether a text ends by asking the user something, a list of choices behind the question included."""
    lines = [line.strip() for line in text.strip()[-QUESTION_CHARS:].splitlines() if line.strip()]
    while lines and re.match(r"([-*•]|\d+[.)])\s", lines[-1]):
        lines.pop()
    return bool(lines) and lines[-1].rstrip("*_ )").endswith("?")


def announces_action(text: str) -> bool:
    """Whether a short text ends by announcing an action."""
    prose = _FENCE.sub(" ", text).strip()
    if not prose or len(prose) > ANNOUNCEMENT_CHARS:
        return False
    sentences = [part.strip() for part in _SENTENCE_END.split(prose.replace("’", "'")) if part.strip()]
    last = sentences[-1] if sentences else ""
    return not _OFFER.search(last) and bool(_ENGLISH.search(last) or _RUSSIAN.search(last))


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
