"""An order behind the place that it is about: "In the file cart.py rename total", "В файле main.dart добавить …"."""

from __future__ import annotations

import re

from routing.lexicon import Lexicon

_MAX_WORDS = 6
_PLACE = re.compile(r"(?:in|inside|within|on|at|for|from|в|во|на|для|из|с|со|у|к|ко|по|внутри) ")
_WORD = re.compile(r"\S+ ")
_NO_PLACE = re.compile(
    r"(?:what|which|who\w*|how|why|when|where|while|that|not|never|как\w*|что\w*|чем|чему|чего|кто|кого|кому|ком|котор\w+|не|ни|нельзя"
    r"|невозможно|можно|трудно|сложно|долго|хочу|хотим|надо|нужно|пора|стоит|могу|может|получается|удается|есть|нет"
    r"|является|был\w*)\b"
)
_DETERMINER = re.compile(r"\b(?:an?|the|this|that|these|those|my|our|its|their|each|every|all|any|some|one|new) $")
_INFINITIVE = re.compile(r"\w{2,}(?:[аяеиоуы]ть(?:ся)?|[сз]ти(?:сь)?|чь(?:ся)?)\b")
_NOUN = re.compile(
    r"(?:память|печать|сеть|нить|мать|кровать|пять|девять|десять|есть|опять|путь|суть|чуть|ночь|речь|дочь|печь|вспять)\b"
)
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|do|does|did|can|could|will|would|fails?|failed|shows?|keeps?|returns?|takes?|gets?|"
    r"goes|works?|stops?|not|never|no longer)\b|n't\b"
)
_IMPOSSIBLE = re.compile(
    r"\bне (?:получа|уда|выход|мог|дает|помога|работа)|\b(?:нельзя|невозможно|нечем|некуда|сложно|трудно)\b"
)


def starts_with_infinitive(text: str) -> bool:
    """Whether a text begins with a Russian infinitive that can be an order."""
    return _INFINITIVE.match(text) is not None and not _NOUN.match(text) and not _IMPOSSIBLE.search(text)


def behind_place(text: str, words: Lexicon) -> str | None:
    """Return an order without the place that stands before it; None where no place leads to an order."""
    preposition = _PLACE.match(text)
    if not preposition:
        return None
    at = preposition.end()
    for count in range(_MAX_WORDS):
        rest = text[at:]
        if count and not _DETERMINER.search(text, 0, at) and _is_order(rest, words):
            return rest
        word = _WORD.match(rest)
        if word is None or _NO_PLACE.match(rest):
            return None
        at += word.end()
    return None


def _is_order(text: str, words: Lexicon) -> bool:
    if not text[:1].isascii():
        return starts_with_infinitive(text)
    verb = max((m.end() for head in words.heads.values() if (m := head.match(text))), default=0)
    rest = text[verb:].lstrip()
    return bool(verb and rest) and not words.starts("after_noun", rest) and not _FINITE.search(rest)
