"""Chunks: made from graph events and interrupts, packed for the event log, framed for each reader. Pure.

Sections of docs/protocol.md: Chunks, Flows, Transport, Versions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from json_text import storable, to_json
from wire.protocol import (
    AgentSwitched,
    AssistantMessage,
    Chunk,
    Done,
    ExecutionCompleted,
    Outcome,
    PlanApprovalRequired,
    PlanCreated,
    PlanModificationRequested,
    PlanRejected,
    Status,
    SubtaskCompleted,
    ToolCall,
    error_chunk,
)

PLAN_APPROVAL = "plan-approval-"
"""Before the id of a plan: how a plan is named where a call is."""
_UNUSED: dict[str, Any] = {
    name: field.default if name in ("is_final", "requires_approval") else None
    for name, field in Chunk.model_fields.items()
}
_UNUSED_TEXT = {name: to_json(unused) for name, unused in _UNUSED.items()}
_BETWEEN = ",\n"
"""Between two fields of a packed chunk; a line break inside a JSON text is escaped, so it stands nowhere else."""
_DONE = '{"type":"done"'
_ONLY_VERSION_2 = {"retrying", "context_cut", "denied", "restarted", "resync"}


def chunks_of_event(event: Mapping[str, Any]) -> list[Chunk]:
    """Translate one event of a node; pieces of text become chunks in the log, events for the records none."""
    metadata = dict(event.get("metadata") or {})
    match event["event"]:
        case "switched":
            return [AgentSwitched(content=f"Switched to {event['agent']} agent", metadata=metadata)]
        case "message":
            return assistant_message(event["content"], streamed=event.get("streamed", True), **metadata)
        case "denied":
            told = {key: metadata[key] for key in ("call_id", "tool_name", "code", "reasons")}
            return [Status(content=event["content"], metadata={"status": "denied", **told})]
        case "retrying":
            sentence = f"The model did not answer; trying again in {metadata['delay_seconds']} s."
            return [Status(content=sentence, metadata={"status": "retrying", **metadata})]
        case "context_cut":
            sentence = (
                f"The model's server read only {metadata['prompt_tokens']} tokens of this conversation. Raise its "
                "context size (num_ctx in Ollama), or set LLM_CONTEXT_TOKENS to it."
            )
            return [Status(content=sentence, metadata={"status": "context_cut", **metadata})]
        case "failed":
            return [error_chunk(metadata.pop("code"), event["content"], **metadata)]
        case "subtask_started":
            return [Status(content=f"Subtask {metadata['progress']}: {event['content']}", metadata=metadata)]
        case "subtask_completed":
            sentence = f"Subtask {metadata['subtask_id']} completed"
            return [SubtaskCompleted(content=sentence, metadata=metadata)]
        case "plan_rejected":
            return [PlanRejected(metadata=metadata)]
        case "plan_modification_requested":
            return [PlanModificationRequested(metadata=metadata)]
        case "plan_finished":
            done = metadata["status"] == "completed"
            sentence = "Plan execution completed successfully" if done else "Plan execution failed"
            return [ExecutionCompleted(content=sentence, metadata=metadata)]
        case _:
            return []


def chunks_of_interrupt(
    payload: Mapping[str, Any],
    *,
    digest: str,
    expires_at: str | None,
    precondition: Mapping[str, Any] | None = None,
) -> list[Chunk]:
    """Translate one pause: a call for the client, a question, or a plan to review; a write has a `precondition`."""
    match payload["kind"]:
        case "question" | "switch":
            return assistant_message(payload["question"], streamed=False, suggestions=payload["suggestions"])
        case "budget":
            told = {"suggestions": payload["suggestions"], "budgets": payload["arguments"]["budgets"]}
            return assistant_message(payload["question"], streamed=False, **told)
        case "plan_review":
            return _plan_chunks(payload)
        case kind:
            verdict = payload["verdict"]
            explanation = {key: verdict.get(key) for key in ("verdict", "danger", "reasons", "segments")}
            explanation |= {
                "agent": payload["agent"],
                "remember_options": verdict.get("remember_options", []),
                "digest": digest,
                "expires_at": expires_at,
                "execution": verdict.get("execution"),
            }
            if precondition is not None:
                explanation["precondition"] = dict(precondition)
            return [
                ToolCall(
                    call_id=payload["call_id"],
                    tool_name=payload["tool_name"],
                    arguments=payload["arguments"],
                    requires_approval=kind == "approval",
                    metadata=explanation,
                )
            ]


def assistant_message(content: str, *, streamed: bool, **metadata: Any) -> list[Chunk]:
    """The final chunk of a message, after one delta where none was streamed (docs/protocol.md, Versions)."""
    final = AssistantMessage(content=content, is_final=True, metadata=metadata or None)
    return [final] if streamed else [AssistantMessage(token=content), final]


def _plan_chunks(payload: Mapping[str, Any]) -> list[Chunk]:
    summary, plan_id = payload["plan_summary"], payload["plan"]["plan_id"]
    metadata = {
        "plan_id": plan_id,
        "fsm_state": "plan_review",
        "plan_summary": summary,
        "requires_approval": True,
        "replaces": payload["plan"]["replaces"],
    }
    return [
        PlanCreated(content=payload["content"], plan_id=plan_id, metadata=metadata),
        PlanApprovalRequired(
            approval_request_id=plan_approval_id(plan_id),
            plan_id=plan_id,
            plan_summary=summary,
            metadata={"fsm_state": "plan_review"},
        ),
    ]


def plan_approval_id(plan_id: str) -> str:
    """The id by which a plan is decided."""
    return PLAN_APPROVAL + plan_id


def done_chunk(outcome: Outcome, usage: Mapping[str, int | None]) -> Done:
    """The end of a request (version 2)."""
    return Done(metadata={"outcome": outcome, "usage": dict(usage)})


def call_digest(session_id: str, call_id: str, agent: str, tool_name: str, arguments: Any, policy_version: str) -> str:
    """SHA-256 of what an approval is bound to (docs/protocol.md, Chunks)."""
    bound = [session_id, call_id, agent, tool_name, storable(arguments), policy_version]
    canonical = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def pack(chunk: Chunk) -> str:
    """Write the fields of a chunk that are set as JSON, one field a line: the form of the event log."""
    fields = chunk.__dict__
    lines = [f'"{name}":{to_json(fields[name])}' for name, unused in _UNUSED.items() if fields[name] is not unused]
    return "{" + _BETWEEN.join(lines) + "}"


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Restore all fields of a packed chunk that was read, in the order of the protocol."""
    return {name: packed.get(name, unused) for name, unused in _UNUSED.items()}


def is_done(packed: str) -> bool:
    """Whether a packed chunk ends its request."""
    return packed.startswith(_DONE)


def frame(packed: str, version: int) -> str | None:
    """The data line of a chunk for a reader of that protocol version; None where that reader sees nothing."""
    fields = _fields(packed)
    shown = fields if version >= 2 else _as_version_1(fields)
    if shown is None:
        return None
    return "{" + ",".join(f'"{name}":{shown.get(name, unused)}' for name, unused in _UNUSED_TEXT.items()) + "}"


def _fields(packed: str) -> dict[str, str]:
    """The JSON text of each field that is set."""
    if _BETWEEN not in packed:  # a row of version 0.3.0
        return {name: to_json(value) for name, value in unpack(json.loads(packed)).items()}
    fields = {}
    for line in packed[1:-1].split(_BETWEEN):
        name, _, text = line.partition(":")
        fields[name[1:-1]] = text
    return fields


def _as_version_1(fields: dict[str, str]) -> dict[str, str] | None:
    """Project a chunk of the log for a version-1 reader; None where it sees nothing (docs/protocol.md, Versions)."""
    kind = json.loads(fields["type"])
    if kind == "done":
        return None
    if kind == "tool_call":
        return {**fields, "metadata": "null"}
    if kind not in ("assistant_message", "status"):
        return fields
    metadata = json.loads(fields.get("metadata", "null")) or {}
    if kind == "status":
        return None if metadata.get("status") in _ONLY_VERSION_2 else fields
    if fields.get("is_final") != "true" or metadata.get("before_tool_call"):
        return None
    return {**fields, "token": fields.get("content", "null")}
