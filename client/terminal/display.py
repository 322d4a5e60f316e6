"""The stream of a run as a person sees it: text as it arrives, switches, notes, plans, and a clear end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.terminal.text import counted, entries, shown
from wire.protocol import Chunk

_SILENT_STATUSES = {"approved", "approved_with_edits", "rejected", "result_recorded"}
_ENDS = {
    "completed": ("Done", "green"),
    "failed": ("Failed", "red"),
    "cancelled": ("Cancelled", "yellow"),
    "awaiting_tool": ("Stopped while a tool call is open", "yellow"),
    "awaiting_approval": ("Stopped while a decision is open", "yellow"),
    "awaiting_answer": ("Stopped at a question", "yellow"),
    "awaiting_plan": ("Stopped while a plan waits for its decision", "yellow"),
}


class Display:
    """Writes chunks to a console; knows which text is on the screen already."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._streamed = ""

    def show(self, chunk: Chunk) -> None:
        """Show one chunk; tool calls are shown by whoever handles them."""
        if chunk.type == "assistant_message":
            self._show_text(chunk)
            return
        rendered = self._render(chunk)
        if rendered is not None:
            self.line(rendered)

    def line(self, rendered: RenderableType) -> None:
        """Print on a line of its own, below text that is still open."""
        self.break_line()
        self.console.print(rendered)

    def break_line(self) -> None:
        """End a line that deltas left open."""
        if self._streamed:
            self.console.print()
            self._streamed = ""

    def note(self, text: str, style: str = "dim") -> None:
        """Print a short sentence of the client itself."""
        self.line(shown(text, style))

    def _show_text(self, chunk: Chunk) -> None:
        if not chunk.is_final:
            self._write(chunk.token or "")
            return
        content = chunk.content or ""
        if content.startswith(self._streamed):
            self._write(content[len(self._streamed) :])
        else:
            # A lost connection swallowed deltas: the full text is the truth.
            self.note("… the whole answer:")
            self._write(content)
        self.break_line()
        metadata = chunk.metadata or {}
        for number, suggestion in enumerate(metadata.get("suggestions") or [], start=1):
            self.line(Text(f"  {number}. ", style="bold cyan") + shown(str(suggestion)))
        if metadata.get("partial"):
            self.note("(cut off here)")

    def _write(self, text: str) -> None:
        self._streamed += text
        self.console.print(shown(text), end="", soft_wrap=True)

    def _render(self, chunk: Chunk) -> RenderableType | None:
        metadata = chunk.metadata or {}
        match chunk.type:
            case "agent_switched":
                return _switch(metadata)
            case "status":
                return _status(chunk, metadata)
            case "error":
                return Text("✗ ", style="bold red") + shown(str(chunk.error or chunk.content or ""), "red")
            case "plan_approval_required":
                return plan_table(chunk.plan_summary or {})
            case "plan_rejected":
                return Text("The plan was dropped.", style="yellow")
            case "plan_modification_requested":
                return Text("The plan is made anew.", style="yellow")
            case "subtask_completed":
                return _ending(metadata, f"subtask {metadata.get('status', 'completed')}")
            case "execution_completed":
                return _ending(metadata, chunk.content or "")
            case "session_info" | "tool_call" | "plan_created" | "done":
                return None
            case _:
                return shown(chunk.content, "dim") if chunk.content else None


def _switch(metadata: dict[str, Any]) -> Text:
    line = Text("◆ ", style="bold magenta")
    line.append_text(shown(f"{metadata.get('from_agent')} → {metadata.get('to_agent')}", "bold magenta"))
    return line + shown(f"  {metadata.get('reason') or ''}", "dim")


def _status(chunk: Chunk, metadata: dict[str, Any]) -> Text | None:
    if metadata.get("status") in _SILENT_STATUSES:
        return None
    if "subtask_id" in metadata:
        line = Text("▸ ", style="bold blue") + shown(chunk.content or "", "bold")
        return line + shown(f"  {metadata.get('agent')}", "dim")
    style = "yellow" if metadata.get("status") in ("denied", "retrying", "restarted") else "dim"
    line = Text("· ", style=style) + shown(chunk.content or "", style)
    for reason in entries(metadata.get("reasons")):
        line.append_text(shown(f"\n  why: {reason.get('text', '')}", "dim"))
    return line


def _ending(metadata: dict[str, Any], phrase: str) -> Text:
    good = metadata.get("status", "completed") == "completed"
    return Text("✓ " if good else "✗ ", style="green" if good else "red") + shown(phrase, "dim")


def plan_table(summary: dict[str, Any]) -> RenderableType:
    """Show a plan: its goal and a row for each subtask."""
    table = Table(title=shown(f"☰ {summary.get('title') or 'Plan'}", "bold"), title_justify="left", expand=False)
    for heading in ("#", "subtask", "agent", "time", "after"):
        table.add_column(heading)
    subtasks = entries(summary.get("subtasks"))
    numbers = {subtask.get("id"): str(number) for number, subtask in enumerate(subtasks, start=1)}
    for subtask in subtasks:
        after = ", ".join(numbers.get(needed, str(needed)) for needed in subtask.get("dependencies") or [])
        described = (subtask.get("description"), subtask.get("agent"), subtask.get("estimated_time"), after)
        table.add_row(numbers[subtask.get("id")], *(shown(str(value or "")) for value in described))
    parts: list[RenderableType] = [table]
    if summary.get("total_estimated_time"):
        parts.append(shown(f"in all {summary['total_estimated_time']}", "dim"))
    return Group(*parts)


@dataclass
class Tally:
    """What a task did and cost."""

    outcome: str = "failed"
    changed: list[str] = field(default_factory=list)
    rejected: int = 0
    usage: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def panel(self, session_id: str) -> Panel:
        """Show how the task ended, which files it changed, and what it cost."""
        word, colour = _ENDS.get(self.outcome, (f"Stopped ({self.outcome})", "yellow"))
        facts = Text("files changed: ", overflow="fold")
        facts.append_text(shown(", ".join(self.changed), "bold") if self.changed else Text("none", "dim"))
        if self.rejected:
            facts.append(f"\nrejected: {counted(self.rejected, 'tool call')}", "yellow")
        asked = counted(self.usage["llm_calls"], "model call")
        facts.append(f"\n{asked}, {counted(self.usage['total_tokens'], 'token')}, {self.seconds:.1f} s", "dim")
        facts.append(f"\nsession {session_id}", "dim")
        return Panel(facts, title=f"[bold]{word}[/bold]", title_align="left", border_style=colour)
