"""An equal request of an equal conversation is classified once per process."""

from __future__ import annotations

from agents.classification import Classification
from agents.classification_cache import ClassificationCache

CODE = Classification("coder", "high", "said so", "llm")


def test_equal_conversations_are_remembered_and_others_are_not() -> None:
    classifications = ClassificationCache()
    classifications.keep("prompt", "Fix it", CODE)
    assert classifications.find("prompt", "Fix it") == CODE
    assert classifications.find("prompt", "Earlier in this conversation:\nUser: x\n\nFix it") is None
    assert classifications.find("another prompt", "Fix it") is None


def test_the_least_used_leaves_first() -> None:
    classifications = ClassificationCache(max_size=2)
    classifications.keep("p", "a", CODE)
    classifications.keep("p", "b", CODE)
    assert classifications.find("p", "a") is CODE
    classifications.keep("p", "c", CODE)
    assert (len(classifications), classifications.find("p", "b"), classifications.find("p", "a")) == (2, None, CODE)


def test_a_fallback_is_not_remembered() -> None:
    classifications = ClassificationCache()
    classifications.keep("p", "a", Classification("coder", "low", "keywords", "keywords"))
    assert len(classifications) == 0
