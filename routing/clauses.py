"""Split a request into sentences and clauses, without quotations and polite phrases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from routing.lexicon import Lexicon
from routing.places import behind_place

MAX_CHARS = 4000

_CODE = re.compile(r"```.*?(?:```|$)|`[^`]*`", re.DOTALL)
_QUOTED = re.compile(r"«[^»]*»|“[^”]*”|„[^“”]*[“”]|\"[^\"\n]*\"")
_NAMED = re.compile(
    r"(?P<md>(?!(?i:readme|changelog|contributing))[\w./-]*\w\.md\b|\bdocs/[\w./-]*)|@\w+|\w+\(\)|\w*/[\w.*{}:/-]*\w"
    r"|\w+(?:\.\w+)+|\w*[a-zа-яё][A-ZА-ЯЁ]\w*|\w+_\w+"
)
_LONG = re.compile(r"[\w-]{60,}")
_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…]*")
_BOUNDARY = re.compile(
    r"\s*[,;:—–]\s*(?:(?:and then|and|then|but|so|or|а затем|а потом|и|а|но|потом|затем|или)\s)?|\s-\s"
    r"|\s(?:and then|and|then|but|or|so|а затем|а потом|и|а|но|потом|затем|или)\s"
)
_BARE = frozenset({"and", "or", "but", "и", "или", "а", "но"})


@dataclass(frozen=True)
class Clause:
    """One clause of a sentence."""

    text: str
    """The clause without greetings and polite phrases."""
    said: str
    """The clause as it was written."""
    rest: str
    """The sentence from the clause to its end."""
    joined: bool
    """Whether only a bare "and" joins it to the clause before, which it may continue."""
    polite: bool
    """Whether it began as a polite question ("could you …")."""
    wish: bool
    """Whether it began as a wish ("I need …")."""
    indirect: bool
    """Whether it began as an indirect question ("any idea …")."""
    led: bool
    """Whether a phrase was removed from its start."""


def plain(text: str) -> str:
    """Lower-case the text and replace code, quotations, names and paths by "¤" (a document's path by "¤md")."""
    text = _LONG.sub("¤", text[:MAX_CHARS]).replace("’", "'")
    text = _QUOTED.sub(" ¤ ", _CODE.sub(" ¤ ", text))
    text = _NAMED.sub(lambda found: " ¤md " if found["md"] else " ¤ ", text)
    return re.sub(r"[^\S\n]+", " ", text.lower().replace("ё", "е").replace("ъ", "ь"))


def sentences(text: str) -> Iterator[str]:
    """Split a plain text into sentences, each with its closing mark."""
    return (found.group().strip() for found in _SENTENCE.finditer(text) if found.group().strip(" .!?…"))


def clauses(sentence: str, words: Lexicon) -> list[Clause]:
    """Split a sentence at its punctuation and conjunctions."""
    body = sentence.rstrip(" .!?…")
    found: list[Clause] = []
    start, joint = 0, ""
    for boundary in [*_BOUNDARY.finditer(body), None]:
        end = boundary.start() if boundary else len(body)
        if body[start:end].strip():
            found.append(_clause(body[start:end].strip(), body[start:], words, joined=joint.strip() in _BARE))
        if boundary:
            start, joint = boundary.end(), boundary.group()
    return found


def _clause(said: str, rest: str, words: Lexicon, *, joined: bool) -> Clause:
    text = said
    taken: set[str] = set()
    kinds = ("lead_in", "polite", "indirect", "wish")
    while kind := next((k for k in kinds if (match := words.phrases[k].match(text)) and match.end()), None):
        taken.add(kind)
        match = words.phrases[kind].match(text)
        text = text[match.end() if match else 0 :].lstrip(" ,!")
    order = behind_place(text, words)
    if order is not None:
        place = text[: -len(order)].strip()
        text, rest, taken = f"{order} {place}", f"{rest} {place}", {*taken, "place"}
    return Clause(
        text=text,
        said=said,
        rest=rest,
        joined=joined,
        polite="polite" in taken,
        wish="wish" in taken,
        indirect="indirect" in taken,
        led=bool(taken),
    )
