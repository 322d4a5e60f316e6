"""What one attempt of a run leaves behind: chunks for the log as they come, rows for the tables at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.utils.uuid import uuid7
from langgraph.types import Overwrite

from runs.engine import Engine
from storage.tables.audit import AuditEntry
from storage.tables.messages import MessageRecord
from storage.tables.runs import Run
from wire.chunks import chunks_of_event


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
