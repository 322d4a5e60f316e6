"""The runs table: one running run per session, with its worker and its attempt number as fencing token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from errors import RunLost
from storage.database import Step, Transaction, stamp
from storage.tables.columns import read
from storage.tables.messages import MessageRecord

RunStatus = Literal["running", "paused", "completed", "failed", "cancelled"]
RETRY_PAUSE_S = 0.5
"""Between the take-over of a run and the next one of it; twice as long each time."""
EARLIER_LEASE_S = 3600.0
"""Written to `lease_until`: so long do workers of earlier versions leave a run alone."""


@dataclass(frozen=True)
class Run:
    """One row; `input` is the journal from which the run can be started again."""

    id: str
    session_id: str
    request_id: str
    input: dict[str, Any]
    status: RunStatus
    worker: int
    attempt: int
    protocol_version: int
    cancel_requested: bool
    error: str | None
    tries: int = 0
    """How many attempts failed since the claim; one that was handed over has not."""
    reason: str | None = None
    """Why the last attempt failed, for the operator."""


async def active(tx: Transaction, session_id: str) -> Run | None:
    """The running run of a session, else its paused one."""
    row = await tx.row("active_run", session_id=session_id)
    return read(Run, row) if row else None


async def find(tx: Transaction, run_id: str) -> Run | None:
    """One run."""
    row = await tx.row("find_run", run_id=run_id)
    return read(Run, row) if row else None


def ended_early(run_id: str, session_id: str, history: Sequence[MessageRecord], agent: str) -> Run:
    """Make the run of a history that came from elsewhere: as it ended early, the next turn reads the history."""
    asked = next((message for message in reversed(history) if message.role == "user"), None)
    journal = {
        "content": asked.content if asked else "",
        "message_id": asked.id if asked else "",
        "agent": agent,
        "chosen_by": "router",
        "previous_agent": agent,
        "repair": True,
    }
    return Run(run_id, session_id, "import", journal, "cancelled", 0, 1, 1, cancel_requested=False, error=None)


async def insert_ended(tx: Transaction, run: Run, status: RunStatus, *, now: str) -> None:
    """Add a run of `ended_early`; "paused" when one of its calls waits for a decision."""
    written = json.dumps(run.input, ensure_ascii=False)
    await tx.run("import_run", run_id=run.id, session_id=run.session_id, input=written, status=status, now=now)


def start(run: Run) -> Step:
    """Claim the session for a new run and journal its input; without effect while another run is running."""
    written = json.dumps(run.input, ensure_ascii=False)
    return Step("start_run", {"input": written, "protocol_version": run.protocol_version, **_claim(run)})


def resume(run: Run) -> Step:
    """Claim a paused run, given as it stands afterwards; without effect when it is not paused any more."""
    return Step("resume_run", {"attempt": run.attempt, "protocol_version": run.protocol_version, **_claim(run)})


def _claim(run: Run) -> dict[str, Any]:
    return {"run_id": run.id, "worker": run.worker, "lease_s": EARLIER_LEASE_S}


async def take_over(tx: Transaction, run: Run, worker: int) -> Run | None:
    """Claim a run whose worker is gone; None when another worker was first, its row is locked or its pause not over."""
    row = await tx.row(
        "take_over_run",
        run_id=run.id,
        seen_attempt=run.attempt,
        worker=worker,
        lease_s=EARLIER_LEASE_S,
        pause_s=RETRY_PAUSE_S,
        now=stamp(),
    )
    return read(Run, row) if row else None


async def note_reason(tx: Transaction, run: Run, reason: str) -> None:
    """Note why an attempt failed."""
    await tx.run("note_reason", run_id=run.id, attempt=run.attempt, reason=reason)


async def given_up(tx: Transaction, owner: str | None, limit: int) -> list[dict[str, Any]]:
    """The runs of an owner, or with None of all, that no attempt could finish, the newest first.

    Each is {run_id, session_id, owner, reason, attempts, started_at, ended_at}.
    """
    return [
        {
            "run_id": row.id,
            "session_id": row.session_id,
            "owner": row.owner,
            "reason": row.reason,
            "attempts": row.tries,
            "started_at": row.created_at,
            "ended_at": row.updated_at,
        }
        for row in await tx.rows("given_up_runs", owner=owner, limit=limit)
    ]


def close(run: Run, status: RunStatus, error: str | None = None) -> Step:
    """End or pause a run; without effect when another worker has taken it."""
    return Step("close_run", {"run_id": run.id, "attempt": run.attempt, "status": status, "error": error})


async def close_alone(tx: Transaction, run: Run, status: RunStatus, error: str | None) -> None:
    """End a run and touch nothing else; raises RunLost when another worker has taken it."""
    closed = await tx.value(
        "close_run_alone", run_id=run.id, attempt=run.attempt, status=status, error=error, now=stamp()
    )
    if closed is None:
        raise RunLost


def release(run: Run) -> Step:
    """Hand one run over at once; without effect when another worker has taken it."""
    return Step("release_run", {"run_id": run.id, "attempt": run.attempt})


async def notify_orphans(tx: Transaction) -> None:
    """Tell the other workers that a run was handed over."""
    await tx.value("notify_orphans")


async def request_cancel(tx: Transaction, run: Run) -> bool:
    """Ask the worker of a running run to stop it; False when it is not running any more."""
    return await tx.row("request_cancel", run_id=run.id) is not None


async def running_of(tx: Transaction, worker: int) -> dict[str, bool]:
    """The running runs of this worker, each with whether its cancel was requested."""
    return {run_id: bool(is_cancelled) for run_id, is_cancelled in await tx.rows("running_runs_of", worker=worker)}
