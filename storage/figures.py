"""Metrics computed from the stored rows: the same on every instance (docs/protocol.md, Metric views)."""

from __future__ import annotations

import json
from typing import Any

from storage.database import Transaction, stamp
from telemetry.meters import Sample

_DECISIONS = {
    "approve": "APPROVE",
    "implicit_approve": "APPROVE",
    "edit": "EDIT",
    "reject": "REJECT",
    "implicit_reject": "REJECT",
}


async def overview(tx: Transaction, owner: str) -> dict[str, Any]:
    """Count the switches, model calls, tool calls, decisions and errors of an owner, with averages and rates."""
    agents = {
        row.agent: {
            "count": row.calls,
            "total_duration_ms": int(row.total_ms or 0),
            "success_count": int(row.succeeded),
            "failure_count": int(row.failed),
        }
        for row in await tx.rows("agent_figures", owner=owner)
    }
    tools = {
        row.tool_name: {
            "requested": row.calls,
            "completed": int(row.done),
            "failed": int(row.failed),
            "requires_approval": int(row.asked),
        }
        for row in await tx.rows("tool_figures", owner=owner)
    }
    decisions: dict[str, dict[str, int]] = {}
    for row in await tx.rows("decision_figures", owner=owner):
        counted = decisions.setdefault(row.tool_name, {"APPROVE": 0, "EDIT": 0, "REJECT": 0})
        counted[_DECISIONS[row.decision]] += row.decisions
    errors: dict[str, dict[str, int]] = {}
    for row in await tx.rows("error_figures", owner=owner):
        errors.setdefault(row.agent, {})[row.code] = row.errors
    switches = {
        f"{row.from_agent}_to_{row.to_agent}": row.switches for row in await tx.rows("switch_figures", owner=owner)
    }
    computed = {f"{agent}_avg_duration_ms": row["total_duration_ms"] / row["count"] for agent, row in agents.items()}
    ended = {tool: row["completed"] + row["failed"] for tool, row in tools.items()}
    computed |= {f"{tool}_success_rate": tools[tool]["completed"] / n for tool, n in ended.items() if n}
    return {
        "metrics": {
            "agent_switches": switches,
            "agent_processing": agents,
            "tool_executions": tools,
            "hitl_decisions": decisions,
            "errors": errors,
        },
        "computed": computed,
        "timestamp": stamp(),
    }


async def of_session(tx: Transaction, owner: str, session_id: str) -> dict[str, Any] | None:
    """The model calls of one session; None when there were none, or it is not the owner's."""
    requests = [
        {
            "timestamp": row.started_at,
            "model": row.model,
            "duration_ms": row.duration_ms,
            "prompt_tokens": row.prompt_tokens,
            "completion_tokens": row.completion_tokens,
            "total_tokens": row.total_tokens,
            "has_tool_calls": row.tool_calls > 0,
            "success": row.outcome != "failed",
            "error": row.error,
        }
        for row in await tx.rows("session_requests", owner=owner, session_id=session_id)
    ]
    if not requests:
        return None
    totals = {
        key: sum(r[key] or 0 for r in requests)
        for key in ("duration_ms", "prompt_tokens", "completion_tokens", "total_tokens")
    }
    succeeded = sum(r["success"] for r in requests)
    return {
        "session_id": session_id,
        "total_requests": len(requests),
        "successful_requests": succeeded,
        "failed_requests": len(requests) - succeeded,
        "total_duration_ms": totals["duration_ms"],
        "average_duration_ms": totals["duration_ms"] / len(requests),
        "total_prompt_tokens": totals["prompt_tokens"],
        "total_completion_tokens": totals["completion_tokens"],
        "total_tokens": totals["total_tokens"],
        "average_tokens_per_request": totals["total_tokens"] / len(requests),
        "requests_with_tools": sum(r["has_tool_calls"] for r in requests),
        "requests": requests,
    }


async def sessions_with_model_calls(tx: Transaction, owner: str) -> list[str]:
    """The owner's sessions that have called a model, oldest first."""
    return [row.id for row in await tx.rows("sessions_with_model_calls", owner=owner)]


async def audit_events(
    tx: Transaction, owner: str, session_id: str | None, event_type: str | None, limit: int
) -> list[dict[str, Any]]:
    """The last `limit` entries of the original's audit log, oldest first."""
    rows = await tx.rows("audit_events", owner=owner, session_id=session_id, event_type=event_type, limit=limit)
    return [
        {
            "timestamp": row.at,
            "event_type": row.event_type,
            "event_id": row.event_id,
            "session_id": row.session_id,
            "correlation_id": row.run_id,
            "agent": row.agent,
            "call_id": row.call_id,
            "tool_name": row.tool_name,
            "details": json.loads(row.details),
            "error": row.error,
        }
        for row in reversed(rows)
    ]


async def stats(tx: Transaction, owner: str) -> dict[str, Any]:
    """Count the published events, and the runs by how they ended."""
    log = await tx.row("published_figures", owner=owner)
    runs = await tx.row("run_figures", owner=owner)
    ended = int(runs.succeeded) + int(runs.failed)
    return {
        "total_published": int(log.published),
        "successful_handlers": int(runs.succeeded),
        "failed_handlers": int(runs.failed),
        "last_event_time": log.last_at,
        "success_rate": int(runs.succeeded) / ended if ended else 1.0,
    }


async def samples(tx: Transaction) -> list[Sample]:
    """Count the rows of the whole database, over all owners."""
    sessions = await tx.row("all_sessions")
    found = [
        Sample("sessions", {"state": "visible"}, int(sessions.visible)),
        Sample("sessions", {"state": "deleted"}, int(sessions.deleted)),
    ]
    found += [Sample("runs", {"status": row.status}, row.runs) for row in await tx.rows("all_runs")]
    for row in await tx.rows("all_calls"):
        found.append(Sample("tool_calls", {"tool": row.tool_name, "state": row.state}, row.calls))
    for row in await tx.rows("all_llm_calls"):
        labels = {"agent": row.agent, "model": row.model or "", "purpose": row.purpose, "outcome": row.outcome}
        found.append(Sample("llm_calls", labels, row.calls))
        found.append(Sample("llm_call_seconds", labels, float(row.total_ms) / 1000))
        found.append(Sample("llm_tokens", {**labels, "kind": "prompt"}, int(row.prompt_tokens)))
        found.append(Sample("llm_tokens", {**labels, "kind": "completion"}, int(row.completion_tokens)))
    return found
