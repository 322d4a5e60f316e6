"""Events of running nodes on LangGraph's custom stream: plain dicts, translated to chunks by `wire/chunks.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypedDict


class Event(TypedDict, total=False):
    """One event; `event` names its kind, the other keys belong to that kind.

    `text` is a piece of an assistant message, as the model writes it; `message` is one in full and ends the pieces of
    its id. `context_cut`: the model's server read only a part of the request (docs/models.md). `whole_result`: a result
    that the model reads cut, whole, for the history.
    """

    event: Literal[
        "switched",
        "text",
        "message",
        "denied",
        "retrying",
        "context_cut",
        "failed",
        "model_call",
        "local_call",
        "whole_result",
        "subtask_started",
        "subtask_completed",
        "plan_rejected",
        "plan_modification_requested",
        "plan_finished",
    ]
    agent: str
    content: str
    message_id: str
    code: str
    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    metadata: dict[str, Any]
    streamed: bool
    """Whether the text of a message went out in pieces before."""


Writer = Callable[[Event], None]
"""Takes the events of a node (`context.writer_of`)."""


def switched(from_agent: str, to_agent: str, reason: str, confidence: str, method: str) -> Event:
    """Another agent is current (docs/protocol.md, Chunks)."""
    return {
        "event": "switched",
        "agent": to_agent,
        "metadata": {
            "from_agent": from_agent,
            "to_agent": to_agent,
            "reason": reason,
            "confidence": confidence,
            "classification_method": method,
        },
    }


def failed(code: str, sentence: str, *, retryable: bool = False, **metadata: Any) -> Event:
    """The turn met a problem and ends (docs/protocol.md, Chunks)."""
    return {
        "event": "failed",
        "code": code,
        "content": sentence,
        "metadata": {"code": code, "retryable": retryable, **metadata},
    }
