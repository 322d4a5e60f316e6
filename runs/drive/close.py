"""The end of one attempt: everything that it leaves behind goes into one transaction, then the request is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langgraph.types import Interrupt

from errors import RunLost
from runs.apply import close
from runs.decision.contract import AgentChange, CloseRun, Effects, NewPlan, PlanProgress, ReleaseRun, outcome_of
from runs.drive.precondition import precondition_of
from runs.drive.recorder import Recorder
from runs.engine import Engine
from runs.log.writer import join_deltas
from runs.thread import tool_record
from storage.checkpoints import RunSaver
from storage.database import Transaction, stamp, stamp_in
from storage.tables import calls, sessions
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run, RunStatus
from wire.chunks import call_digest, chunks_of_interrupt, done_chunk
from wire.protocol import Chunk, Outcome, error_chunk


async def close_run(engine: Engine, run: Run, recorder: Recorder, chunks: list[Chunk], saver: RunSaver) -> None:
    """Store an attempt that ended by itself, its checkpoint included: paused with its calls, completed or failed."""
    async with engine.database.transaction(long=True) as tx:
        records, published = await _publication(tx, engine, run, recorder.interrupts)
        outcome: Outcome = "failed" if recorder.failure else "completed"
        status: RunStatus = "failed" if recorder.failure else "completed"
        if records:
            status, outcome = "paused", outcome_of({record["kind"] for record in records})
        left = left_by(run, recorder, [*join_deltas(chunks), *published, done_chunk(outcome, recorder.usage())])
        made = [record for record in records if record["kind"] != "budget"]
        asked = (_question_about(record) for record in records if record["kind"] == "budget")
        effects = replace(
            left,
            closes=CloseRun(status, outcome, recorder.failure),
            new_calls=(*records, *left.new_calls),
            messages=(*left.messages, *asked),
            audit=(*left.audit, *(_verdict_entry(record) for record in made)),
        )
        stored = await close(engine, tx, run, effects, saver)
    engine.broadcast.publish(run.session_id, stored)
    recorder.count(outcome, made)
    thread = await saver.thread()
    if thread is not None:
        engine.checkpoints.threads.keep(run.session_id, run.id, run.attempt, thread)


async def hand_over(engine: Engine, run: Run, recorder: Recorder, chunks: list[Chunk], saver: RunSaver) -> None:
    """Store an attempt that was stopped between two supersteps; another worker goes on from there.

    What was said so far stays valid: the checkpoint carries how far the log had come (see `runs.drive.recovery`).
    """
    effects = replace(left_by(run, recorder, join_deltas(chunks)), closes=ReleaseRun())
    async with engine.database.transaction(long=True) as tx:
        session = await sessions.find_any(tx, run.session_id, lock=True)
        if session is None:
            raise RunLost
        saver.mark(log_seq=session.last_seq + len(effects.chunks))
        stored = await close(engine, tx, run, effects, saver)
    engine.broadcast.publish(run.session_id, stored)
    recorder.count("handed_over")


def left_by(run: Run, recorder: Recorder, chunks: Sequence[Chunk]) -> Effects:
    """What an attempt leaves however it ended: its chunks, and the rows that it gathered."""
    drafts = [interrupt.value for interrupt in recorder.interrupts if interrupt.value["kind"] == "plan_review"]
    plan, agent = recorder.plan, recorder.agent
    return Effects(
        chunks=tuple(chunks),
        request_id=run.request_id,
        new_calls=tuple(_local_record(run, event) for event in recorder.local_calls),
        messages=tuple(recorder.messages),
        llm_calls=tuple(recorder.llm_calls),
        audit=tuple(recorder.audit),
        new_plans=tuple(
            NewPlan(draft["call_id"], draft["plan_summary"], draft["plan"]["replaces"]) for draft in drafts
        ),
        plan=None if plan is None else PlanProgress(plan["plan_id"], plan, plan["status"]),
        agent=None if agent is None else AgentChange(agent, recorder.chosen_by or "router", recorder.switches),
    )


def internal_error(error_id: str) -> Chunk:
    """Our fault, in words for people; the id is in the log."""
    sentence = "Something went wrong on our side. Please try again."
    return error_chunk("internal", sentence, retryable=True, error_id=error_id)


async def settled_messages(tx: Transaction, run: Run) -> list[MessageRecord]:
    """The tool messages of the round from which a run was resumed: its nodes may not have come to write them."""
    records = await calls.round_of(tx, run.session_id, run.id)
    return [tool_record(record) for record in records if record.is_tool_call and not record.is_open]


async def _publication(
    tx: Transaction, engine: Engine, run: Run, interrupts: Sequence[Interrupt]
) -> tuple[list[dict[str, Any]], list[Chunk]]:
    """The records and the chunks of the calls that the graph waits for."""
    records: list[dict[str, Any]] = []
    chunks: list[Chunk] = []
    hours = engine.settings.approval_expiry_hours
    for interrupt in interrupts:
        payload = interrupt.value
        kind, verdict = payload["kind"], payload.get("verdict") or {}
        is_asked = kind in ("approval", "plan_review")
        expires_at = stamp_in(hours) if is_asked and hours else None
        digest = call_digest(
            run.session_id,
            payload["call_id"],
            payload["agent"],
            payload["tool_name"],
            payload["arguments"],
            verdict.get("policy_version", ""),
        )
        records.append(
            {
                "session_id": run.session_id,
                "call_id": payload["call_id"],
                "run_id": run.id,
                "round": run.attempt,
                "interrupt_id": interrupt.id,
                "kind": kind,
                "agent": payload["agent"],
                "tool_name": payload["tool_name"],
                "arguments": payload["arguments"],
                "verdict": verdict,
                "digest": digest,
                "state": "pending" if is_asked else "executing",
                "created_at": stamp(),
                "expires_at": expires_at,
                "plan_id": payload["plan"]["plan_id"] if kind == "plan_review" else None,
                "part_of": _of_model(payload),
            }
        )
        presumed = await precondition_of(tx, run.session_id, payload["tool_name"], payload["arguments"])
        chunks += chunks_of_interrupt(payload, digest=digest, expires_at=expires_at, precondition=presumed)
    return records, chunks


def _of_model(payload: Any) -> dict[str, str] | None:
    part_of = payload.get("part_of")
    return {key: part_of[key] for key in ("call_id", "tool_name")} if part_of else None


def _local_record(run: Run, event: Any) -> dict[str, Any]:
    now = stamp()
    told = event["metadata"]
    return {
        "session_id": run.session_id,
        "call_id": event["call_id"],
        "run_id": run.id,
        "round": run.attempt,
        "interrupt_id": None,
        "kind": "local_call",
        "agent": event["agent"],
        "tool_name": event["tool_name"],
        "arguments": event["arguments"],
        "verdict": told["verdict"],
        "digest": "",
        "state": "failed" if told["failed"] else "done",
        "result": event["content"],
        "created_at": now,
        "settled_at": now,
    }


def _question_about(record: dict[str, Any]) -> MessageRecord:
    """The question about a budget for the history: no call of the model holds it."""
    return MessageRecord(record["call_id"], "assistant", record["arguments"]["question"], record["agent"])


def _verdict_entry(record: dict[str, Any]) -> AuditEntry:
    verdict = record["verdict"]
    details = {key: verdict.get(key) for key in ("verdict", "danger", "reasons", "matched", "policy_version")}
    return AuditEntry(
        "verdict",
        actor="policy",
        agent=record["agent"],
        call_id=record["call_id"],
        tool_name=record["tool_name"],
        details={key: value for key, value in details.items() if value is not None},
    )
