"""What one attempt of a run leaves: chunks for the log as they come, and all else in one transaction at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.utils.uuid import uuid7
from langgraph.types import Interrupt, Overwrite

from runs.apply import close
from runs.decision.contract import AgentChange, CloseRun, Effects, NewPlan, PlanProgress, outcome_of
from runs.drive.precondition import precondition_of
from runs.engine import Engine
from runs.log.writer import join_deltas
from storage.checkpoints import RunSaver
from storage.database import Transaction, stamp, stamp_in
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run, RunStatus
from wire.chunks import call_digest, chunks_of_event, chunks_of_interrupt, done_chunk
from wire.protocol import Chunk, Outcome


class Recorder:
    """Takes what nodes say and return, and keeps what has to be stored."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self._run = run
        self._meters = engine.meters
        self._started = time.monotonic()
        self._first_text: float | None = None
        self.log = engine.log_writer.log_of(run)
        self.interrupts: list[Any] = []
        self.messages: list[MessageRecord] = []
        self.llm_calls: list[dict[str, Any]] = []
        self.audit: list[AuditEntry] = []
        self.local_calls: list[Mapping[str, Any]] = []
        self.plan: dict[str, Any] | None = None
        """The summary of the executing plan as it stands."""
        self.agent: str | None = None
        self.chosen_by: str | None = None
        self.switches = 0
        self.failure: str | None = None
        self._whole_results: dict[str, str] = {}
        """By call id: results that the model reads cut."""
        self._partial_id: str | None = None
        self._partial: list[str] = []

    def take(self, updates: Mapping[str, Any]) -> None:
        """Take what nodes have returned, by their names: one item of the stream `updates`."""
        for node, update in updates.items():
            if node == "__interrupt__":
                self.interrupts.extend(update)
            elif update:
                self._take_update(update)

    def partial(self) -> MessageRecord | None:
        """The assistant message that was being written, when some of it was shown."""
        text = "".join(self._partial)
        return MessageRecord(self._partial_id, "assistant", text) if self._partial_id and text else None

    def count(self, outcome: str, records: Sequence[Mapping[str, Any]] = ()) -> None:
        """Count the attempt once it is closed; `records` are the calls that it left for the client."""
        local = [(event["tool_name"], event["metadata"]["verdict"]) for event in self.local_calls]
        judged = [*((record["tool_name"], record["verdict"]) for record in records), *local]
        self._meters.turn_ended(
            outcome,
            started=self._started,
            first_text=self._first_text,
            llm_calls=self.llm_calls,
            audit=self.audit,
            judged=[(tool, verdict.get("verdict") or "allow") for tool, verdict in judged],
        )

    def left(self, chunks: Sequence[Chunk]) -> Effects:
        """What an attempt leaves however it ended: its chunks, and the rows that it gathered."""
        drafts = [interrupt.value for interrupt in self.interrupts if interrupt.value["kind"] == "plan_review"]
        plan, agent = self.plan, self.agent
        return Effects(
            chunks=tuple(chunks),
            request_id=self._run.request_id,
            new_calls=tuple(_local_record(self._run, event) for event in self.local_calls),
            messages=tuple(self.messages),
            llm_calls=tuple(self.llm_calls),
            audit=tuple(self.audit),
            new_plans=tuple(
                NewPlan(draft["call_id"], draft["plan_summary"], draft["plan"]["replaces"]) for draft in drafts
            ),
            plan=None if plan is None else PlanProgress(plan["plan_id"], plan, plan["status"]),
            agent=None if agent is None else AgentChange(agent, self.chosen_by or "router", self.switches),
        )

    def usage(self) -> dict[str, int | None]:
        """What the model calls of this request cost; null where a model did not say."""
        total: dict[str, int | None] = {"llm_calls": len(self.llm_calls)}
        for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
            counts = [call[key] for call in self.llm_calls]
            total[key] = None if None in counts or not counts else sum(counts)
        return total

    def _take_update(self, update: Mapping[str, Any]) -> None:
        messages: Sequence[AnyMessage] | Overwrite = update.get("messages") or []
        if isinstance(messages, Overwrite):  # a shorter window of what the history has already
            messages = []
        self.messages += [self._whole(record) for record in map(_message_record, messages) if record is not None]
        if "agent" in update:
            self.agent, self.chosen_by = update["agent"], update.get("chosen_by")

    def _whole(self, record: MessageRecord) -> MessageRecord:
        whole = self._whole_results.pop(record.tool_call_id or "", None)
        return record if whole is None else replace(record, content=whole)

    def take_event(self, event: Mapping[str, Any]) -> None:
        """Take what a node says while it runs (`agents/custom_events.py`)."""
        match event["event"]:
            case "text":
                if event["message_id"] != self._partial_id:
                    self._partial_id, self._partial = event["message_id"], []
                self._partial.append(event["content"])
                self._first_text = self._first_text or time.monotonic()
                self.log.say(event["content"])
            case "message":
                self._first_text = self._first_text or time.monotonic()
                self._partial_id, self._partial = None, []
            case "model_call":
                self.llm_calls.append(self._llm_call(event))
            case "switched":
                self.switches += 1
                self._note("agent_switched", event, details=dict(event["metadata"]))
            case "denied":
                told = event["metadata"]
                details = {"reasons": told["reasons"], "arguments": event["arguments"], "code": told["code"]}
                self._note("denial", event, call_id=told["call_id"], tool_name=told["tool_name"], details=details)
            case "failed":
                self.failure = event["code"]
                details = {"code": event["code"], "message": event["content"]}
                agent = event["metadata"].get("agent")
                self.audit.append(AuditEntry("error", agent=agent, run_id=self._run.id, details=details))
            case "local_call":
                self.local_calls.append(event)
            case "whole_result":
                self._whole_results[event["call_id"]] = event["content"]
            case "subtask_started":
                self.plan = event["arguments"]
            case "plan_finished":
                self.plan = event["arguments"]
                if event["metadata"]["status"] == "failed":
                    self.failure = self.failure or "plan_failed"
        self.log.say(*chunks_of_event(event))

    def _note(self, kind: Any, event: Mapping[str, Any], **fields: Any) -> None:
        self.audit.append(AuditEntry(kind, agent=event.get("agent"), run_id=self._run.id, **fields))

    def _llm_call(self, event: Mapping[str, Any]) -> dict[str, Any]:
        told = event["metadata"]
        tokens = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
        figures = (*tokens, "model", "error", "message_id", "tools_hash")
        return {
            "id": uuid7().hex,
            "session_id": self._run.session_id,
            "run_id": self._run.id,
            "request_id": self._run.request_id,
            "agent": event["agent"],
            "tool_calls": told.get("tool_calls", 0),
            "retries": told.get("retries", 0),
            **{key: told.get(key) for key in figures},
            **{key: told[key] for key in ("purpose", "started_at", "duration_ms", "prompt_hash", "outcome")},
        }


async def close_run(engine: Engine, run: Run, recorder: Recorder, chunks: list[Chunk], saver: RunSaver) -> None:
    """Store an attempt that ended by itself, its checkpoint included: paused with its calls, completed or failed."""
    async with engine.database.transaction(long=True) as tx:
        records, published = await _publication(tx, engine, run, recorder.interrupts)
        outcome: Outcome = "failed" if recorder.failure else "completed"
        status: RunStatus = "failed" if recorder.failure else "completed"
        if records:
            status, outcome = "paused", outcome_of({record["kind"] for record in records})
        left = recorder.left([*join_deltas(chunks), *published, done_chunk(outcome, recorder.usage())])
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


def _message_record(message: AnyMessage) -> MessageRecord | None:
    """A message of the thread for the history; None for what clients do not see."""
    if message.additional_kwargs.get("hidden"):
        return None
    content = str(message.text)
    assert message.id is not None, "every message of a thread has an id of ours"
    if isinstance(message, ToolMessage):
        return MessageRecord(message.id, "tool", content, message.name, message.tool_call_id)
    if isinstance(message, AIMessage):
        calls = [{"id": c["id"], "name": c["name"], "arguments": c["args"]} for c in message.tool_calls]
        return MessageRecord(message.id, "assistant", content, message.name, tool_calls=calls or None)
    return MessageRecord(message.id, "user", content)
