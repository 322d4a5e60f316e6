"""The cases in which a reply without a tool call is not an answer and the runtime reprompts for one."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from agents.classification import classify_by_keywords
from agents.roster import DOCUMENT_TOOLS, ROSTER, Agent
from llm.reply.syntaxes import CALL_HEAD
from tools.create_plan import CREATE_PLAN

Missing = Literal["plan", "action", "file", "claim"]

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
_CLAIM = re.compile(
    r"\b(?:has|have|was|were|been|successfully|i(?:'ve| have)?|is now|now)\s+(?:\w+\s+)?"
    r"(?:created|written|wrote|updated|changed|modified|replaced|added|appended|removed|deleted|renamed|executed|implemented|fixed)\b"
    r"|^(?:created|wrote|updated|changed|replaced|added|appended|removed|deleted|renamed|executed|implemented|fixed)\b"
    r"|\b(?:создан|записан|изменён|изменен|обновлён|обновлен|добавлен|удалён|удален|заменён|заменен|переименован"
    r"|выполнен|исправлен)(?:а|о|ы)?\b|\bя\s+(?:создал|записал|изменил|обновил|добавил|удалил|заменил|исправил)",
    re.IGNORECASE | re.MULTILINE,
)


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
    if text_calls and is_markup_of_call(text):
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


def is_markup_of_call(text: str) -> bool:
    """Whether a text is a call, or the result of one, in a form that could not be parsed."""
    text = text.lstrip()
    return bool(_MARKUP.match(text) or CALL_HEAD.match(_FENCE_HEAD.sub("", text)))


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
