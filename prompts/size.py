"""Which prompts a model is given: guided ones, or concise ones for strong models (docs/models.md, Prompts)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, cast, get_args

from errors import ConfigurationError

PromptSize = Literal["guided", "concise"]
ChosenSize = Literal["auto", "guided", "concise"]

MIN_STRONG_BILLIONS = 100
"""The parameters from which on an open model whose name tells them may count as strong."""
STRONG_FAMILIES = (
    r"gpt-4-1(?!-(?:mini|nano))",
    r"gpt-(?:[5-9]|oss)",
    r"o[3-9](?:-|$)",
    r"codex",
    r"claude-(?:opus|sonnet|haiku)-[4-9]",
    r"claude-3-7-sonnet",
    r"gemini-(?:2-5-pro|[3-9])",
    r"deepseek-(?:chat|reasoner|flash|r1|v[3-9])",
    r"qwen-?3(?:-5)?-(?:coder|max|plus|\d+b)",
    r"kimi-k[2-9]",
    r"glm-(?:4-[5-9]|[5-9])",
    r"grok-(?:[4-9]|code)",
    r"mistral-(?:large|medium)",
    r"devstral-medium",
    r"minimax-m[2-9]",
)
"""How the names of strong models begin, in small letters, with `-` for every `.`, `:` and `_`."""
_STRONG = re.compile("|".join(f"(?:{family})" for family in STRONG_FAMILIES))
_WEAK_WORD = re.compile(r"(?:^|-)(?:nano|lite|tiny|small|air|distill)(?:-|$)")
_BILLIONS = re.compile(r"(?:^|-)(\d+)(?:-\d+)?b(?:-|$)")


def chosen_size(word: str) -> ChosenSize:
    """Read a size as a person writes it; raises ConfigurationError for anything else."""
    for size in get_args(ChosenSize):
        if word.strip().lower() == size:
            return cast(ChosenSize, size)
    raise ConfigurationError(f"'{word}' is no size of prompts: use {', '.join(get_args(ChosenSize))}.")


@lru_cache(maxsize=256)
def prompt_size(chosen: ChosenSize, model: str) -> PromptSize:
    """Return the size that the operator chose; for `auto`, the one that fits the model's name: unknown is guided."""
    if chosen != "auto":
        return chosen
    name = re.sub(r"[.:_]", "-", model.strip().lower().rpartition("/")[2])
    billions = _BILLIONS.search(name)
    is_weak = _WEAK_WORD.search(name) or (billions and int(billions[1]) < MIN_STRONG_BILLIONS)
    return "concise" if _STRONG.match(name) and not is_weak else "guided"
