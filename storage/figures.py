"""Figures computed from the stored rows, so that they survive a restart and agree between instances (section 11)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from storage.clock import stamp
from storage.database import Transaction

_DECISIONS = {
    "approve": "APPROVE",
    "implicit_approve": "APPROVE",
    "edit": "EDIT",
    "reject": "REJECT",
    "implicit_reject": "REJECT",
}


async def overview(tx: Transaction, owner: str) -> dict[str, Any]:
    """Switches, model calls, tool calls, decisions and errors of an owner, and what follows from them."""
    agents = {
        agent: {
            "count": count,
            "total_duration_ms": int(total or 0),
            "success_count": int(succeeded),
            "failure_count": int(failed),
        }
        for agent, count, total, succeeded, failed in await tx.rows("agent_figures", owner=owner)
    }
    tools = {
        tool: {"requested": count, "completed": int(done), "failed": int(failed), "requires_approval": int(asked)}
        for tool, count, done, failed, asked in await tx.rows("tool_figures", owner=owner)
    }
    decisions: dict[str, dict[str, int]] = {}
    for tool, decision, count in await tx.rows("decision_figures", owner=owner):
        counted = decisions.setdefault(tool, {"APPROVE": 0, "EDIT": 0, "REJECT": 0})
        counted[_DECISIONS[decision]] += count
    errors: dict[str, dict[str, int]] = {}
    for agent, code, count in await tx.rows("error_figures", owner=owner):
        errors.setdefault(agent, {})[code] = count
    switches = {f"{before}_to_{after}": n for before, after, n in await tx.rows("switch_figures", owner=owner)}
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


async def sessions_measured(tx: Transaction, owner: str) -> list[str]:
    """The owner's sessions that have called a model, oldest first."""
    return [row.id for row in await tx.rows("measured_sessions", owner=owner)]


async def noted(
    tx: Transaction, owner: str, session_id: str | None, event_type: str | None, limit: int
) -> list[dict[str, Any]]:
    """The last `limit` entries of the original's audit log, oldest first."""
    rows = await tx.rows("noted_events", owner=owner, session_id=session_id, event_type=event_type, limit=limit)
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
    """How many events were published, and how the runs behind them went."""
    published, last = await tx.row("published_figures", owner=owner) or (0, None)
    succeeded, failed = await tx.row("run_figures", owner=owner) or (0, 0)
    ended = int(succeeded) + int(failed)
    return {
        "total_published": int(published),
        "successful_handlers": int(succeeded),
        "failed_handlers": int(failed),
        "last_event_time": last,
        "success_rate": int(succeeded) / ended if ended else 1.0,
    }


@dataclass(frozen=True)
class Sample:
    """One number for the operator: a metric, its labels and its value."""

    metric: str
    labels: dict[str, str]
    value: float


async def samples(tx: Transaction) -> list[Sample]:
    """What the whole database holds, over all owners: counts only."""
    visible, deleted = await tx.row("all_sessions") or (0, 0)
    found = [
        Sample("sessions", {"state": "visible"}, int(visible)),
        Sample("sessions", {"state": "deleted"}, int(deleted)),
    ]
    found += [Sample("runs", {"status": status}, n) for status, n in await tx.rows("all_runs")]
    found += [Sample("tool_calls", {"tool": t, "state": s}, n) for t, s, n in await tx.rows("all_calls")]
    for agent, model, purpose, outcome, count, duration_ms, prompt, completion in await tx.rows("all_llm_calls"):
        labels = {"agent": agent, "model": model or "", "purpose": purpose, "outcome": outcome}
        found.append(Sample("llm_calls", labels, count))
        found.append(Sample("llm_call_seconds", labels, float(duration_ms) / 1000))
        found.append(Sample("llm_tokens", {**labels, "kind": "prompt"}, int(prompt)))
        found.append(Sample("llm_tokens", {**labels, "kind": "completion"}, int(completion)))
    return found
