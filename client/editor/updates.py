"""The chunks of a stream as updates of an editor (Agent Client Protocol, version 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import uuid4

from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    ConfigOptionUpdate,
    CurrentModeUpdate,
    PlanEntry,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
    UserMessageChunk,
)

from client.editor.agents import AgentChoice
from policy.verdicts.display import escape_display
from wire.protocol import Chunk

Update = (
    AgentMessageChunk
    | AgentPlanUpdate
    | AgentThoughtChunk
    | ConfigOptionUpdate
    | CurrentModeUpdate
    | ToolCallProgress
    | ToolCallStart
    | UserMessageChunk
)
_SILENT_STATUSES = {"rejected", "result_recorded", "already_settled", "resync"}
_APPROVED = {"approved", "approved_with_edits"}


def _new_id() -> str:
    return str(uuid4())


def said(text: str, message_id: str) -> AgentMessageChunk:
    """Text of the agent."""
    return AgentMessageChunk(
        session_update="agent_message_chunk", content=TextContentBlock(type="text", text=text), message_id=message_id
    )


def noted(text: str, message_id: str) -> AgentThoughtChunk:
    """A note on what happens, beside the agent's text."""
    return AgentThoughtChunk(
        session_update="agent_thought_chunk",
        content=TextContentBlock(type="text", text=escape_display(text) + "\n"),
        message_id=message_id,
    )


class Transcript:
    """Turns the chunks of one session to updates; it remembers the text of the open message and the plan."""

    def __init__(
        self, choice: AgentChoice, *, lists_suggestions: bool = True, new_id: Callable[[], str] = _new_id
    ) -> None:
        self._choice = choice
        self._lists_suggestions = lists_suggestions
        self._new_id = new_id
        self._streamed = ""
        self._message_id = ""
        self._plan: list[PlanEntry] = []
        self._subtasks: list[str] = []
        self.last_text = ""
        """The agent's last whole message: the question, when it asks one."""
        self.error_code: str | None = None
        """The code of the last error since `begin_turn`."""

    def begin_turn(self) -> None:
        """Forget the errors of the turn before."""
        self.error_code = None
        self._streamed = ""

    def note(self, text: str) -> Update:
        """A note of this client."""
        return noted(text, self._new_id())

    def answer(self, text: str) -> Update:
        """A whole message that comes from this client."""
        return said(text, self._new_id())

    def updates(self, chunk: Chunk) -> Sequence[Update]:
        """The updates of one chunk; calls are shown when their turn has come."""
        metadata = chunk.metadata or {}
        match chunk.type:
            case "assistant_message":
                return self._text(chunk, metadata)
            case "agent_switched":
                return self._choice.switched(str(metadata.get("to_agent")))
            case "status":
                return self._status(chunk, metadata)
            case "error":
                self.error_code = str(metadata.get("code"))
                return [self.answer(f"**Error:** {escape_display(str(chunk.error or chunk.content or ''))}")]
            case "plan_created" | "plan_approval_required":
                return self._whole_plan(chunk.plan_summary or metadata.get("plan_summary") or {})
            case "subtask_completed":
                return self._subtask(str(metadata.get("subtask_id")), "completed")
            case "plan_rejected":
                return [self.note("The plan was dropped.")]
            case "plan_modification_requested":
                return [self.note("The architect is revising the plan.")]
            case "execution_completed":
                return [self.note(chunk.content or "The plan has ended.")]
            case "session_info" | "tool_call" | "done":
                return []
            case _:
                return [self.note(chunk.content)] if chunk.content else []

    def _text(self, chunk: Chunk, metadata: dict[str, Any]) -> list[Update]:
        if not chunk.is_final:
            return self._piece(chunk.token or "")
        content = chunk.content or ""
        if content.startswith(self._streamed):
            updates = self._piece(content[len(self._streamed) :])
        else:
            # Deltas were lost with a connection: the full text is the truth.
            self._streamed = ""
            updates = self._piece(content)
        self.last_text, self._streamed = content, ""
        suggestions = [str(suggestion) for suggestion in metadata.get("suggestions") or []]
        if suggestions and self._lists_suggestions:
            lines = "\n".join(f"{number}. {text}" for number, text in enumerate(suggestions, start=1))
            updates.append(said(f"\n\n{lines}", self._message_id or self._new_id()))
        if metadata.get("partial"):
            updates.append(self.note("The answer was cut off here."))
        return updates

    def _piece(self, text: str) -> list[Update]:
        if not text:
            return []
        if not self._streamed:
            self._message_id = self._new_id()
        self._streamed += text
        return [said(text, self._message_id)]

    def _status(self, chunk: Chunk, metadata: dict[str, Any]) -> list[Update]:
        status = metadata.get("status")
        if "subtask_id" in metadata:
            return self._subtask(str(metadata["subtask_id"]), "in_progress")
        if status in _APPROVED:
            return [
                ToolCallProgress(
                    session_update="tool_call_update", tool_call_id=str(metadata.get("call_id")), status="in_progress"
                )
            ]
        if status in _SILENT_STATUSES or not chunk.content:
            return []
        if status == "restarted":
            self._streamed = ""
        reasons = [f"Why: {reason.get('text', '')}" for reason in metadata.get("reasons") or () if reason]
        return [self.note("\n".join([chunk.content, *reasons]))]

    def _whole_plan(self, summary: dict[str, Any]) -> list[Update]:
        subtasks = [subtask for subtask in summary.get("subtasks") or () if isinstance(subtask, dict)]
        self._subtasks = [str(subtask.get("id")) for subtask in subtasks]
        self._plan = [
            PlanEntry(
                content=f"{subtask.get('description', '')} ({subtask.get('agent', '')})",
                priority="medium",
                status=_ENTRY_STATUS.get(str(subtask.get("status")), "pending"),
            )
            for subtask in subtasks
        ]
        return [AgentPlanUpdate(session_update="plan", entries=self._plan)]

    def _subtask(self, identity: str, status: Literal["in_progress", "completed"]) -> list[Update]:
        if identity not in self._subtasks:
            return []
        self._plan = [
            entry.model_copy(update={"status": status}) if known == identity else entry
            for known, entry in zip(self._subtasks, self._plan, strict=True)
        ]
        return [AgentPlanUpdate(session_update="plan", entries=self._plan)]


_ENTRY_STATUS: dict[str, Literal["pending", "in_progress", "completed"]] = {
    "in_progress": "in_progress",
    "running": "in_progress",
    "done": "completed",
    "completed": "completed",
    "failed": "completed",
}
