"""Conversion of the original's rows to records of our tables; what cannot be converted is reported with its reason."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from state import tool_message_id
from storage.legacy.source import Row, first_time, json_of, time_of
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord

NAMESPACE = uuid.UUID("3d0c7f0e-6c0b-5a52-9a3e-7f3f0d5a8f11")
"""The namespace of the ids that replace the original's: the same ids at every import."""
_SESSION_ID = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,64}")
_ENDED = {"completed": "completed", "failed": "failed", "rejected": "rejected", "cancelled": "cancelled"}
_SUBTASKS = {"completed": "completed", "done": "completed", "failed": "failed", "skipped": "skipped"}
_DECISIONS = {
    "approved": ("done", "approve"),
    "edited": ("done", "edit"),
    "rejected": ("rejected", "reject"),
}


@dataclass(frozen=True)
class Skipped:
    """A row that was not imported, and why."""

    table: str
    id: str
    reason: str


@dataclass
class Converted:
    """One session of the original as records of our tables."""

    id: str
    source_id: str
    messages: list[MessageRecord] = field(default_factory=list)
    switches: list[AuditEntry] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    waiting: set[str] = field(default_factory=set)
    """The calls whose approval the original left pending."""

    @property
    def last_call(self) -> dict[str, Any] | None:
        """The pending approval of the only call of the last message, if there is one."""
        made = self.messages[-1].tool_calls if self.messages else None
        if not made or len(made) > 1 or made[0]["id"] not in self.waiting:
            return None
        return next(call for call in self.calls if call["call_id"] == made[0]["id"])

    @property
    def run_id(self) -> str:
        """The id of the ended run that marks the session as imported."""
        return str(uuid.uuid5(NAMESPACE, f"run:{self.source_id}"))

    def skip(self, table: str, row: Row, reason: str) -> None:
        """Record a row that is not imported."""
        self.skipped.append(Skipped(table, str(row["id"]), reason))


def session_id_of(source_id: str) -> str:
    """The id of an imported session: its own where it is valid here (docs/protocol.md, Messages)."""
    return source_id if _SESSION_ID.fullmatch(source_id) else str(uuid.uuid5(NAMESPACE, source_id))


def convert_messages(session: Converted, rows: Sequence[Row]) -> None:
    """Convert the conversation, so that every tool message still follows the call that it answers."""
    awaited: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: time_of(row["timestamp"]) or ""):
        role, content = row["role"], str(row["content"] or "")
        created = first_time(row["timestamp"])
        if role == "system":
            session.skip("messages", row, "a note of the original about a switch, not part of the conversation")
        elif role == "user":
            awaited = {}
            session.messages.append(MessageRecord(str(row["id"]), "user", content, created_at=created))
        elif role == "assistant":
            calls = _calls_of(session, row)
            awaited = {call["id"]: call["name"] for call in calls}
            session.messages.append(
                MessageRecord(str(row["id"]), "assistant", content, tool_calls=calls or None, created_at=created)
            )
        elif role != "tool":
            session.skip("messages", row, f"unknown role {role}")
        elif row["tool_call_id"] not in awaited:
            session.skip("messages", row, "a tool result without an open call before it")
        else:
            call_id = str(row["tool_call_id"])
            name = row["name"] or awaited[call_id]
            del awaited[call_id]
            session.messages.append(
                MessageRecord(tool_message_id(call_id), "tool", content, name, call_id, created_at=created)
            )


def _calls_of(session: Converted, row: Row) -> list[dict[str, Any]]:
    known = {call["id"] for message in session.messages for call in message.tool_calls or []}
    found: list[dict[str, Any]] = []
    listed = json_of(row["tool_calls"])
    for call in listed if isinstance(listed, list) else []:
        call = call if isinstance(call, dict) else {}
        nested = call.get("function")
        function = nested if isinstance(nested, dict) else call
        name, arguments = function.get("name") or call.get("tool_name"), json_of(function.get("arguments"))
        call_id = str(call.get("id") or "")
        if not call_id or not name or call_id in known:
            session.skip("messages", row, "a tool call without an id and name of its own")
            continue
        known.add(call_id)
        is_readable = isinstance(arguments, dict)
        found.append({"id": call_id, "name": str(name), "arguments": arguments if is_readable else {}})
    return found


def convert_switches(session: Converted, rows: Sequence[Row]) -> None:
    """Convert the switches of agents to entries of the audit log."""
    for row in sorted(rows, key=lambda row: time_of(row["switched_at"]) or ""):
        told = json_of(row["metadata_json"])
        details = {key: row[key] for key in ("from_agent", "to_agent", "reason")}
        details["confidence"] = told.get("confidence") if isinstance(told, dict) else None
        at = first_time(row["switched_at"])
        session.switches.append(AuditEntry("agent_switched", agent=row["to_agent"], details=details, at=at))


def convert_approvals(session: Converted, rows: Sequence[Row], agent: str) -> None:
    """Convert approvals: decided ones as decided, the others as superseded until an imported run waits for them."""
    for row in rows:
        call_id, tool_name = row["call_id"] or row["request_id"], row["tool_name"]
        if not tool_name:
            session.skip("pending_approvals", row, "the approval of a plan: the plan carries its status")
            continue
        if any(call["call_id"] == call_id for call in session.calls):
            session.skip("pending_approvals", row, "another approval of the same call was imported")
            continue
        state, decision = _DECISIONS.get(row["status"], ("superseded", None))
        if row["status"] == "pending":
            session.waiting.add(str(call_id))
        arguments = json_of(row["arguments"])
        created, decided = first_time(row["created_at"]), time_of(row["decision_at"])
        session.calls.append(
            {
                "session_id": session.id,
                "call_id": str(call_id),
                "run_id": session.run_id,
                "round": 1,
                "interrupt_id": None,
                "kind": "approval",
                "agent": agent,
                "tool_name": str(tool_name),
                "arguments": arguments if isinstance(arguments, dict) else {},
                "verdict": {"verdict": "ask", "reasons": []},
                "digest": "",
                "state": state,
                "decision": decision,
                "decided_at": decided,
                "decided_by": "user" if decision else None,
                "feedback": row["decision_reason"] if decision else None,
                "undecided": decision is None,
                "ended_by": None if decision else "message",
                "created_at": created,
                "settled_at": decided or created,
            }
        )


def convert_plans(
    session: Converted, rows: Sequence[Row], subtasks: Mapping[str, Sequence[Row]], agents: Collection[str]
) -> None:
    """Convert plans with their status; one that was still open is superseded, its remaining subtasks are skipped."""
    for version, row in enumerate(sorted(rows, key=lambda row: time_of(row["created_at"]) or ""), start=1):
        own = sorted(subtasks.get(str(row["id"]), []), key=lambda s: (time_of(s["created_at"]) or "", str(s["id"])))
        told = json_of(row["metadata_json"])
        status, goal = _ENDED.get(row["status"], "superseded"), str(row["goal"] or "")
        summary = {
            "plan_id": str(row["id"]),
            "title": goal,
            "description": (told.get("description") if isinstance(told, dict) else None) or goal,
            "goal": goal,
            "status": status,
            "subtasks_count": len(own),
            "subtasks": [_subtask(subtask, agents) for subtask in own],
            "total_estimated_time": f"{sum(_minutes(s['estimated_time']) for s in own)} min",
            "created_at": first_time(row["created_at"]),
            "approved_at": time_of(row["approved_at"]),
        }
        times = {"created_at": summary["created_at"], "updated_at": first_time(row["updated_at"], row["created_at"])}
        session.plans.append({"summary": summary, "version": version, "status": status, **times})


def _subtask(row: Row, agents: Collection[str]) -> dict[str, Any]:
    dependencies = json_of(row["dependencies_json"])
    return {
        "id": str(row["id"]),
        "description": str(row["description"] or ""),
        "agent": row["agent"] if row["agent"] in agents else "coder",
        "dependencies": [str(d) for d in dependencies] if isinstance(dependencies, list) else [],
        "estimated_time": str(row["estimated_time"] or "0 min"),
        "status": _SUBTASKS.get(row["status"], "skipped"),
        "metadata": {"title": str(row["description"] or "")},
    }


def _minutes(text: object) -> int:
    found = re.match(r"\s*(\d{1,6})\s*(h|hour)?", str(text or ""))
    return int(found[1]) * (60 if found[2] else 1) if found else 0
