"""A cache of classifications: an equal request of an equal conversation is not classified twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what classifies is imported by the first run
    from agents.classification import Classification

MAX_SIZE = 512


class ClassificationCache:
    """The latest classifications of one process, the least recently used is dropped first.

    Only what a model said is kept: a fallback to keywords is cheap, and the model may answer next time.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._found: OrderedDict[str, Classification] = OrderedDict()

    def find(self, prompt: str, conversation: str) -> Classification | None:
        """The classification of an equal prompt and conversation, or None."""
        key = _key(prompt, conversation)
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def keep(self, prompt: str, conversation: str, classification: Classification) -> None:
        """Store a classification."""
        if classification.method != "llm":
            return
        key = _key(prompt, conversation)
        self._found[key] = classification
        self._found.move_to_end(key)
        while len(self._found) > self._max_size:
            self._found.popitem(last=False)

    def __len__(self) -> int:
        return len(self._found)


def _key(prompt: str, conversation: str) -> str:
    """A hash, so that the memory holds no text of users."""
    return hashlib.sha256(f"{prompt}\0{conversation}".encode("utf-8", "surrogatepass")).hexdigest()
