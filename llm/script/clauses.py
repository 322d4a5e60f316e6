"""The wording of a request: quoted parts hidden, a chain cut into clauses, the file that a clause names."""

from __future__ import annotations

import re

_OPEN, _CLOSE = "\ue000", "\ue001"
QUOTED = _OPEN + r"\d+" + _CLOSE
_QUOTES = re.compile(
    r"```[\w-]*\n(?P<fence>.*?)```|`(?P<tick>[^`\n]+)`|\"(?P<double>[^\"\n]+)\"|«(?P<angle>[^»\n]+)»|“(?P<curly>[^”\n]+)”"
    r"|(?<![\w'])'(?P<single>[^'\n]+)'(?![\w'])",
    re.DOTALL,
)
PATH = re.compile(
    r"(?<![\w./~@-])(?:~?/|\.{1,2}/)?(?:[\w.@+-]+/)*(?:[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9}|\.[a-z][\w.-]+"
    r"|Makefile|Dockerfile|LICENSE|README)(?![\w(/])"
    r"|(?<![\w./~@-])(?:~?/|\.{1,2}/)?(?:[\w.@+-]+/)+[\w.@+-]*(?![\w(])"
)
_VERBS = (
    r"run|execute|create|make|write|read|explain|list|search|find|append|prepend|insert|replace|remove|delete|add|show|"
    r"open|describe|summari[sz]e|calculate|compute|rename|change|"
    r"запусти|выполни|создай|сделай|напиши|запиши|прочитай|прочти|объясни|перечисли|найди|добавь|допиши|вставь|замени|"
    r"удали|убери|покажи|открой|опиши|посчитай|вычисли|переименуй|измени"
)
_JOINTS = re.compile(
    r"\s*;\s*|\s*\n+\s*(?:[-*]\s+|\d+[.)]\s+)?|,?\s+(?:and\s+)?then,?\s+|,?\s+(?:and\s+)?(?:after that|afterwards),?\s+"
    r"|,?\s+(?:а\s+|и\s+)?(?:затем|потом|после этого|после чего),?\s+"
    rf"|[.!]\s+(?=\S)|,?\s+(?:and|и)\s+(?=(?:{_VERBS})\b)",
    re.IGNORECASE,
)
POLITE = re.compile(
    r"^(?:\d+[.)]\s*|[-*]\s+)?(?:(?:hi|hello|hey|привет)[,!]?\s+)?"
    r"(?:(?:please|now|first|also|then|finally|could you|can you|would you|i want you to|i need you to|let's|"
    r"пожалуйста|теперь|сначала|сперва|также|можешь|мог бы ты|давай)[,:]?\s+)*",
    re.IGNORECASE,
)
IT = re.compile(r"\b(it|its|this file|that file|the file|его|её|ее|этот файл|в нём|в нем|в него)\b", re.IGNORECASE)


class MaskedText:
    """A request whose quoted parts are hidden behind marks, so that no pattern looks into them."""

    def __init__(self, request: str) -> None:
        self.quoted: list[str] = []
        self.masked = _QUOTES.sub(self._hide, request.replace(_OPEN, " ").replace(_CLOSE, " "))

    def _hide(self, match: re.Match[str]) -> str:
        self.quoted.append(next(group for group in match.groups() if group is not None))
        return f"{_OPEN}{len(self.quoted) - 1}{_CLOSE}"

    def open(self, text: str) -> str:
        """Put the quoted parts back, without their quotes."""
        return re.sub(QUOTED, lambda mark: self.quoted[int(mark.group()[1:-1])], text)


def clauses(masked: str) -> list[str]:
    """Cut a chain (`then`, `;`, `потом`, a new line, `and` before a verb) into its steps."""
    parts = [part.strip() for part in _JOINTS.split(masked)]
    found: list[str] = []
    for part in parts:
        if not part:
            continue
        if found and re.fullmatch(rf"(?:{_VERBS})", found[-1].lower()):  # "read and explain a.py" is one wish
            found[-1] = f"{found[-1]} and {part}"
        elif found and re.fullmatch(
            rf"\s*(?:{QUOTED}\s*)+", part
        ):  # a fence on its own line belongs to what announced it
            found[-1] = f"{found[-1]} {part}"
        else:
            found.append(part)
    return found


def path_in(clause: str, text: MaskedText, last_path: str = "") -> str:
    """Find the file or folder that a clause names: bare, quoted, or `it` for the last one."""
    if found := PATH.search(clause):
        return found.group().rstrip(".")
    for mark in re.findall(QUOTED, clause):
        quoted = text.open(mark)
        if PATH.fullmatch(quoted) or ("/" in quoted and not re.search(r"\s", quoted)):
            return quoted
    return last_path if IT.search(clause) else ""


def quote_in(clause: str, text: MaskedText, path: str) -> str | None:
    """Find the first quoted part that is not the path."""
    quoted = [text.open(mark) for mark in re.findall(QUOTED, clause)]
    return next((part for part in quoted if part != path), None)
