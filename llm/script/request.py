"""A request as a list of steps; when one clause is not understood, there are none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm.script.verbs import ALREADY_SAID, BY_NAME, IT, MARK, VERBS, Verb
from routing.keywords import best_agent, find_cues

_QUOTES = re.compile(
    r"```[\w-]*\n(?P<fence>.*?)```|`(?P<tick>[^`\n]+)`|\"(?P<double>[^\"\n]+)\"|«(?P<angle>[^»\n]+)»|“(?P<curly>[^”\n]+)”"
    r"|(?<![\w'])'(?P<single>[^'\n]+)'(?![\w'])",
    re.DOTALL,
)
_ANY_VERB = "|".join(verb.words for verb in VERBS)
_JOINTS = re.compile(
    r" ?[;\n]\s*|(?<!\d)[.!?]\s+(?=\S)|,?\s+(?:(?:and|и|а)\s+)?(?:then|after that|afterwards|finally|"
    r"next|затем|потом|после этого|после чего|наконец|далее),?\s+"
    rf"|(?:,\s*|,?\s+(?:and|и)\s+)(?=(?:{_ANY_VERB}|tell|скажи|расскажи)\b)",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"(?:\d+[.)]\s*|[-*]\s+)?(?:(?:hi|hello|hey|привет|please|now|first|also|then|finally|(?:could|can|would|will) you|"
    r"i (?:want|need) you to|let's|пожалуйста|теперь|сначала|сперва|также|затем|потом|можешь|давай)\b[,:!]*\s*)*",
    re.IGNORECASE,
)
_POLITE_END = re.compile(r"[\s,]*(?:\b(?:please|for me|пожалуйста))?[\s?!.:,]*$", re.IGNORECASE)
_MAX_CHARS = 4_000
_MAX_CLAUSE_CHARS = 500
"""Both without quoted parts: a longer text is no chain of short orders, and the patterns are slow on it."""


@dataclass(frozen=True)
class Step:
    """One clause of the request, understood."""

    verb: Verb
    clause: str
    """The clause as written, without polite phrases."""
    path: str = ""
    text: str = ""
    """What to write, find, replace, run, compute or plan."""
    new: str = ""
    """What replaces `text`; empty where `text` is appended."""
    lines: tuple[int, int] | None = None
    is_folder: bool = False


class NotUnderstood(Exception):
    """A clause that matches no verb; the message is the clause."""


class _Masked:
    """A request whose quoted parts are numbers between two marks, so that no pattern looks into them."""

    def __init__(self, request: str) -> None:
        self._quoted: list[tuple[str, str]] = []
        masked = _QUOTES.sub(self._hide, re.sub(f"[{MARK[0]}{MARK[-1]}]", " ", request))
        self.text = re.sub(r"[^\S\n]+", " ", masked).strip()

    def _hide(self, match: re.Match[str]) -> str:
        self._quoted.append((match.group(), next(group for group in match.groups() if group is not None)))
        return f"{MARK[0]}{len(self._quoted) - 1}{MARK[-1]}"

    def open(self, text: str, *, quotes: bool = False) -> str:
        """Put the quoted parts back, with or without their quotes."""
        return re.sub(MARK, lambda mark: self._quoted[int(mark.group()[1:-1])][not quotes], text)


def read_request(request: str) -> list[Step]:
    """List the steps of a request, in order; raises NotUnderstood with the first clause that matches no verb."""
    masked = _Masked(request)
    if planned := BY_NAME["plan"].read(_bare(masked.text)):
        return [Step(BY_NAME["plan"], request.strip(), text=masked.open(planned["text"], quotes=True))]
    try:
        return _steps(masked)
    except NotUnderstood:
        if "system" not in find_cues(request):
            raise
        return [Step(BY_NAME["plan"], request.strip(), text=request.strip())]  # a whole application


def route(request: str) -> tuple[str, bool]:
    """Choose an agent as the router's keyword fallback does; the second value says whether a plan is asked for."""
    try:
        steps = read_request(request)
    except NotUnderstood:
        return best_agent(request), False
    if steps[0].verb.name == "plan":
        return steps[0].verb.agent, True
    agents = {best_agent(step.clause) for step in steps}
    return agents.pop() if len(agents) == 1 else BY_NAME["run"].agent, False


def _steps(masked: _Masked) -> list[Step]:
    steps: list[Step] = []
    path = ""
    for clause in _clauses(masked.text[: _MAX_CHARS + 1]):
        if steps and ALREADY_SAID.fullmatch(clause):
            continue
        step = _step(clause, masked, path)
        path = step.path or path
        if not (steps and step.verb.name == "read" and (steps[-1].verb, steps[-1].path) == (step.verb, step.path)):
            steps.append(step)
    if not steps or len(masked.text) > _MAX_CHARS:
        raise NotUnderstood(masked.open(masked.text, quotes=True))
    return steps


def _clauses(text: str) -> list[str]:
    """Split a chain into its clauses; "read and explain a.py" is one."""
    clauses: list[str] = []
    for part in map(_bare, _JOINTS.split(text)):
        if clauses and re.fullmatch(rf"\s*{MARK}\s*", part):  # a block of code belongs to the line before it
            clauses[-1] += f" {part}"
        elif clauses and re.fullmatch(BY_NAME["read"].words, clauses[-1], re.IGNORECASE):
            clauses[-1] += f" and {part}"
        elif part:
            clauses.append(part)
    return clauses


def _bare(part: str) -> str:
    """Remove polite phrases and list numbers from a clause."""
    start = _POLITE.match(part.strip())
    return _POLITE_END.sub("", part.strip()[start.end() if start else 0 :])


def _step(clause: str, masked: _Masked, last_path: str) -> Step:
    read = ((verb, verb.read(clause)) for verb in VERBS if verb.name != "plan" and len(clause) <= _MAX_CLAUSE_CHARS)
    verb, found = next(((verb, found) for verb, found in read if found), (None, None))
    not_understood = NotUnderstood(masked.open(clause, quotes=True))
    if verb is None or found is None:
        raise not_understood
    groups = {name: value for name, value in found.groupdict().items() if value}
    if re.fullmatch(IT, groups.get("path", ""), re.IGNORECASE):
        clause = f"{clause[: found.start('path')]}{last_path}{clause[found.end('path') :]}"
        groups["path"] = last_path
    said = {name: masked.open(value) for name, value in groups.items()}
    path = said.get("path") or said.get("place") or said.get("folder") or (last_path if verb.name == "change" else "")
    if not path and ("path" in said or verb.name == "change"):
        raise not_understood  # "it", and no file before
    return Step(
        verb,
        masked.open(clause, quotes=True),
        path=path,
        text=said.get("text", ""),
        new=said.get("new", ""),
        lines=(int(said["first"]), int(said["last"])) if "first" in said else None,
        is_folder=verb.name == "create" and "folder" in said,
    )
