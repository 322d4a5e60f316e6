"""The keyword fallback of routing: the form of a request's sentences first, then its words.

A clause is an order, a question, a wish or a statement. Its form and its subject are cues; each cue stands for
one agent, and the cue with the highest weight wins. The words and the weights are data: `routing/keywords.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from routing.clauses import MAX_CHARS, Clause, clauses, plain, sentences
from routing.lexicon import Lexicon, lexicon
from routing.orders import order_cues, thing_cue
from routing.terse import Spoken, terse_cues

_GENERIC = re.compile(
    r"\b(?:we|you|people|developers|should|better|prefer|recommend\w*|considered|needed|need|important|in general)\b"
    r"|лучше|нужн|рекоменд|считается|принято|стоит|следует|нельзя|обычно|вообще"
)
_SPECIFIC = re.compile(r"\b(?:the|my|our|this|it|i|these|that|¤)\b|¤|[а-я]")
_HELPING = re.compile(r"(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|am|may)\b")
_SHOULD = re.compile(r"\b(?:should|must|has to|have to)\b|должн")
_STEPS = frozenset({"system"})
"""The cues of requests that need several files or components."""
_STATEMENT_WORDS = 3
_FRAGMENT_WORDS = 5
_ORDERS_FIRST = frozenset({"design", "system", "cause", "write", "fix", "small_fix", "run", "wish", "order"})


@dataclass(frozen=True)
class Choice:
    """The agent for a request, and whether the request has several steps, so that a plan is due."""

    agent: str
    has_steps: bool


def best_choice(text: str, earlier: Sequence[Spoken] = ()) -> Choice:
    """Choose an agent from the words and the form of a request, by the cue with the highest weight."""
    cues = lexicon().cues
    best = max(find_cues(text, earlier), key=lambda name: cues[name].weight)
    return Choice(cues[best].agent, best in _STEPS)


def best_agent(text: str) -> str:
    """Choose an agent for a request that stands alone."""
    return best_choice(text).agent


def find_cues(text: str, earlier: Sequence[Spoken] = ()) -> frozenset[str]:
    """Return the cues of `routing/keywords.toml` that a request matches; there is always one."""
    cues = terse_cues(text, earlier, _own_cues)
    return (cues or frozenset({"smalltalk"})) if cues is not None else _own_cues(text)


def _own_cues(text: str) -> frozenset[str]:
    words = lexicon()
    body = plain(text)
    cues: set[str] = set()
    if words.has("trace", text[:MAX_CHARS].lower()):
        cues.add("trace")
    if words.starts("command", text[:MAX_CHARS].lower().strip(" `$")) and not words.has("symptom", body):
        cues.add("run")
    for sentence in sentences(body):
        cues |= _sentence_cues(sentence, words)
    if "fix" in cues and words.has("known_cause", body):
        cues = cues - {"fix"} | {"small_fix"}
    if words.has("no_code", body):
        cues = {name for name in cues if words.cues[name].agent != "coder" and name != "statement"} or {"design"}
    return frozenset(cues or {"smalltalk"})


def _sentence_cues(sentence: str, words: Lexicon) -> set[str]:
    marked = sentence.endswith("?")
    parts = clauses(sentence, words)
    if not parts:
        return set()
    first = parts[0]
    starts_asking = words.starts("asks", first.text) and not first.polite
    asking = starts_asking or (marked and not first.polite)
    cues: set[str] = set()
    for number, part in enumerate(parts):
        if part.polite or not (starts_asking or words.starts("asks", part.text)):
            cues |= order_cues(part, parts[:number], words, anywhere=not asking)
    if cues & _ORDERS_FIRST or (cues and (not marked or first.polite)):
        return cues | _complaint_cues(first, words, asking=starts_asking)
    indirect = any(part.indirect for part in parts)
    embedded = next((p for p in parts if words.starts("asks", p.text) and (marked or indirect or p is first)), None)
    if asking or embedded or indirect:
        return cues | _question_cues(sentence, embedded, parts, words)
    return cues | _statement_cues(sentence, first, words)


def _complaint_cues(first: Clause, words: Lexicon, *, asking: bool) -> set[str]:
    """Return the cues of a statement before an order ("The list is empty, have a look")."""
    if first.rest == first.said or asking or first.led or order_cues(first, [], words, anywhere=True):
        return set()
    return {"symptom"} if words.has("symptom", first.said) else set()


def _question_cues(sentence: str, embedded: Clause | None, parts: list[Clause], words: Lexicon) -> set[str]:
    """Classify a question: for knowledge, for the cause of a fault, or for a design."""
    cues = {"question"}
    question = embedded.rest if embedded else parts[0].text
    if any(words.starts("why", part.text) for part in parts):
        cues |= _why_cues(sentence, words)
    elif words.has("meaning", question):
        cues.add("meaning")
    elif words.has("design_question", sentence):
        cues.add("design_question")
    elif not (_HELPING.match(parts[0].text) or parts[0].indirect or embedded is parts[0]) and words.has(
        "symptom", parts[0].said
    ):
        cues.add("symptom")
    return cues


def _why_cues(sentence: str, words: Lexicon) -> set[str]:
    faulty, general = words.has("symptom", sentence), words.has("concept", sentence)
    if faulty and general:
        about_fault = not _GENERIC.search(sentence)
    else:
        about_fault = faulty or (not general and _SPECIFIC.search(sentence) is not None)
    return {"cause_question"} if about_fault else set()


def _statement_cues(sentence: str, first: Clause, words: Lexicon) -> set[str]:
    """Return the cues of a sentence without a request: most often a user describes a fault."""
    if words.has("symptom", sentence):
        return {"symptom"}
    size = len(sentence.split())
    if size <= _FRAGMENT_WORDS and (thing := thing_cue(first.text, words)):
        return {thing}
    if _SHOULD.search(sentence):
        return {"wish"}
    return {"statement"} if size >= _STATEMENT_WORDS else set()
