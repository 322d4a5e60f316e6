"""The words of `routing/keywords.toml`, loaded at first use and compiled to patterns."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from errors import ConfigurationError

_FILE = Path(__file__).with_name("keywords.toml")
_RUSSIAN = re.compile("[а-я]")
_IMPERATIVE_END = re.compile("[ийь]$")


@dataclass(frozen=True)
class Cue:
    """One sign in a request: the agent it stands for, and its weight."""

    agent: str
    weight: int


@dataclass(frozen=True)
class Lexicon:
    """The compiled words of the keyword fallback."""

    cues: dict[str, Cue]
    heads: dict[str, re.Pattern[str]]
    """Per kind of order: its verbs, as the first words of a clause."""
    inner: dict[str, re.Pattern[str]]
    """The same for Russian imperatives, which are orders at any position in a clause."""
    phrases: dict[str, re.Pattern[str]]

    def has(self, phrase: str, text: str) -> bool:
        """Whether a phrase of this kind occurs in the text, at the start of a word."""
        return self.phrases[phrase].search(text) is not None

    def whole(self, phrase: str, text: str) -> bool:
        """Whether the text is a phrase of this kind and nothing else."""
        return self.phrases[phrase].fullmatch(text) is not None

    def starts(self, phrase: str, text: str) -> bool:
        """Whether the text begins with a phrase of this kind."""
        return self.phrases[phrase].match(text) is not None


@cache
def lexicon() -> Lexicon:
    """Load the words, once per process."""
    # "обьясни" is a common spelling of "объясни": the two signs count as one, here and in `clauses.plain`.
    data = tomllib.loads(_FILE.read_text(encoding="utf-8").replace("ъ", "ь"))
    try:
        return Lexicon(
            cues={name: Cue(str(cue["agent"]), int(cue["weight"])) for name, cue in data["cues"].items()},
            heads={kind: _head_pattern(words.split()) for kind, words in data["verbs"].items()},
            inner={kind: _inner_pattern(words.split()) for kind, words in data["verbs"].items()},
            phrases={name: _phrase_pattern(phrases) for name, phrases in data["phrases"].items()},
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise ConfigurationError(f"routing/keywords.toml is not usable: {error}") from error


def _phrase_pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})")


def _head_pattern(verbs: list[str]) -> re.Pattern[str]:
    """Match a verb as it stands, or a Russian imperative's stem with another ending of a request ("давай добавим")."""
    return re.compile(rf"(?:{'|'.join(_verb(verb) for verb in verbs)})(?!\w)")


def _inner_pattern(verbs: list[str]) -> re.Pattern[str]:
    imperatives = [v for v in verbs if _RUSSIAN.search(v) and _IMPERATIVE_END.search(v) and not v.endswith("ть")]
    words = "|".join(re.escape(v).replace(r"\|", r"\s+") for v in imperatives) or "(?!)"
    return re.compile(rf"(?<![\w-])(?<!не )(?<!ни )(?:{words})(?:те)?(?:-ка)?(?![\w-])")


def _verb(verb: str) -> str:
    spaced = re.escape(verb).replace(r"\|", r"\s+")
    if not _RUSSIAN.search(verb):
        return spaced
    if verb.endswith(("ть", "ти", "чь")) or not _IMPERATIVE_END.search(spaced):
        return rf"{spaced}(?:те)?(?:-ка)?"
    return rf"{spaced[:-1]}(?:{spaced[-1]}(?:те)?|[ие]м(?:те)?)(?:-ка)?"
