"""A short request whose meaning lies in the conversation: "fix it", "go on", "dark mode please"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from routing.clauses import Clause, clauses, plain, sentences
from routing.lexicon import Lexicon, lexicon

MAX_WORDS = 5
MAX_EARLIER = 12
"""How many earlier messages are read, the newest first."""


class Spoken(NamedTuple):
    """One message of a conversation."""

    by_user: bool
    text: str


def terse_cues(text: str, earlier: Sequence[Spoken], cues_of: Callable[[str], frozenset[str]]) -> frozenset[str] | None:
    """Return the cues that a short request takes from the conversation; None when its own words decide.

    `cues_of` reads the cues of an earlier request by its words.
    """
    words = lexicon()
    whole = words.phrases["courtesy"].sub(" ", plain(text)).strip(" ,.!?")
    clause = _only_clause(whole, words)
    if clause is None:
        return None
    said = clause.text.strip(" ,.!")
    asked, is_answered = _asked_before(earlier, cues_of)
    if words.whole("do_it", whole) or words.whole("do_it", said) or _agrees(whole, earlier, words):
        return _carried_out(asked)
    if words.whole("go_on", said or whole):
        return asked
    if words.whole("fix_it", said):
        return frozenset({"small_fix"} if is_answered else {"fix"})
    if words.whole("why_so", said):
        return frozenset({"cause_question"} if asked and asked & {"symptom", "trace", "statement"} else {"question"})
    adds = clause.led or words.starts("likewise", clause.said) or words.has("too", clause.said)
    continues = bool(asked) and is_answered and adds
    if (continues or words.has("courtesy", plain(text))) and _names_a_thing(said, words):
        return frozenset({"wish"})
    return None


def _only_clause(body: str, words: Lexicon) -> Clause | None:
    """Return the one clause of a short request, a "yes" before it left out; None for anything longer."""
    if len(body.split()) > MAX_WORDS or len(list(sentences(body))) > 1 or "\n" in body:
        return None
    found = [part for sentence in sentences(body) for part in clauses(sentence, words)]
    spoken = [part for part in found if part.text.strip()] or found[:1]
    if len(spoken) == 2 and words.whole("agreed", spoken[0].said):
        spoken = spoken[1:]
    return spoken[0] if len(spoken) == 1 else None


def _asked_before(earlier: Sequence[Spoken], cues_of: Callable[[str], frozenset[str]]) -> tuple[frozenset[str], bool]:
    """The cues of the newest earlier request that says what it wants, and whether an agent has spoken since then."""
    is_answered = False
    for message in list(reversed(earlier))[:MAX_EARLIER]:
        if not message.by_user:
            is_answered = True
        elif terse_cues(message.text, (), lambda _: frozenset()) is None:
            return cues_of(message.text), is_answered
    return frozenset(), is_answered


def _agrees(whole: str, earlier: Sequence[Spoken], words: Lexicon) -> bool:
    """Whether a bare "yes" answers an agent that asked."""
    has_asked = bool(earlier) and not earlier[-1].by_user and earlier[-1].text.rstrip().endswith("?")
    return has_asked and words.whole("agreed", whole)


def _carried_out(asked: frozenset[str]) -> frozenset[str]:
    """What an agreement starts: a design becomes work of several steps, everything else a change."""
    if not asked:
        return frozenset()
    return frozenset({"system"}) if asked & {"design", "system", "design_question"} else frozenset({"write"})


def _names_a_thing(text: str, words: Lexicon) -> bool:
    """Whether a text only names a thing: no verb at its start, no question, no fault, no greeting."""
    is_order = any(head.match(text) for head in words.heads.values())
    is_talk = words.has("symptom", text) or words.starts("asks", text) or words.starts("smalltalk", text)
    return bool(text) and not is_order and not is_talk
