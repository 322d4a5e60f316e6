"""An equal request of an equal conversation is classified once per process."""

from __future__ import annotations

from agents.classification import Classification
from agents.classification_cache import Routes

CODE = Classification("coder", "high", "said so", "llm")


def test_equal_conversations_are_remembered_and_others_are_not() -> None:
    routes = Routes()
    routes.keep("prompt", "Fix it", CODE)
    assert routes.find("prompt", "Fix it") == CODE
    assert routes.find("prompt", "Earlier in this conversation:\nUser: x\n\nFix it") is None
    assert routes.find("another prompt", "Fix it") is None


def test_the_least_used_leaves_first() -> None:
    routes = Routes(max_routes=2)
    routes.keep("p", "a", CODE)
    routes.keep("p", "b", CODE)
    assert routes.find("p", "a") is CODE
    routes.keep("p", "c", CODE)
    assert (len(routes), routes.find("p", "b"), routes.find("p", "a")) == (2, None, CODE)


def test_a_fallback_is_not_remembered() -> None:
    routes = Routes()
    routes.keep("p", "a", Classification("coder", "low", "keywords", "keywords"))
    assert len(routes) == 0
