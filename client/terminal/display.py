"""The stream of a run as a person sees it: text as it arrives, switches, notes, plans, and a clear end."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.terminal.call_view import call_line, call_panel, outcome_lines
from client.terminal.markdown import MarkdownStream
from client.terminal.text import counted, entries, shown
from client.view import TaskSummary
from client.workspace.executor import ToolOutcome
from client.workspace.folder import Workspace, listed
from tools.catalog import BY_NAME
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
    """The view of a terminal (see View): writes to a console and knows which text is on the screen already."""

    def __init__(self, console: Console, workspace: Workspace) -> None:
        self.console = console
        self._workspace = workspace
        self._streamed = ""
        self._markdown = MarkdownStream(console) if console.is_terminal else None
        self._plan: dict[str, Any] | None = None

    def show_plan(self) -> bool:
        """Show the last plan again; False when there was none."""
        if self._plan is not None:
            self.line(plan_table(self._plan))
        return self._plan is not None

    def show(self, chunk: Chunk) -> None:
        """Print a chunk; deltas of a text stay on one line until it ends."""
        self._plan = chunk.plan_summary or self._plan
        if chunk.type == "assistant_message":
            self._show_text(chunk)
            return
        rendered = self._render(chunk)
        if rendered is not None:
            self.line(rendered)

    def line(self, rendered: RenderableType) -> None:
        """Print on a line of its own, below text that is still open."""
        self.reply_ended()
        self.console.print(rendered)

    def reply_ended(self) -> None:
        """End the line that deltas left open."""
        if self._streamed:
            if self._markdown is not None:
                self._markdown.end()
            else:
                self.console.print()
            self._streamed = ""

    def note(self, text: str, style: str = "dim") -> None:
        """Print a short sentence of the client itself."""
        self.line(shown(text, style))

    def warn(self, sentence: str) -> None:
        """Print a warning of the client itself."""
        self.note(sentence, "yellow")

    def call_proposed(self, call: Chunk, arguments: dict[str, Any]) -> None:
        """Print a call: in full where it asks or writes, else as one line."""
        name = str(call.tool_name)
        asks = call.requires_approval or (call.metadata or {}).get("verdict") == "ask"
        tool = BY_NAME.get(name)
        shows_all = asks or tool is None or tool.changes_files
        self.line(call_panel(call, arguments, self._workspace) if shows_all else call_line(name, arguments))

    def call_rejected(self, call: Chunk, feedback: str | None) -> None:  # noqa: ARG002 its panel is on the screen
        """Print that the call was rejected."""
        self.warn(f"  rejected: {feedback}" if feedback else "  rejected")

    def call_finished(self, call: Chunk, outcome: ToolOutcome) -> None:
        """Print the outcome of the call."""
        self.line(outcome_lines(str(call.tool_name), outcome))

    def question_closed(self, reason: str) -> None:
        """Print how the question was settled by another client."""
        self.warn(f"Settled elsewhere: {reason}")

    def task_ended(self, summary: TaskSummary, session_id: str) -> None:
        """Print the summary of the task."""
        self.line(summary_panel(summary, session_id))

    def _show_text(self, chunk: Chunk) -> None:
        if not chunk.is_final:
            self._write(chunk.token or "")
            return
        content = chunk.content or ""
        if content.startswith(self._streamed):
            self._write(content[len(self._streamed) :])
        else:
            # Deltas were lost with the connection: print the full text.
            self.note("… the whole answer:")
            self._write(content)
        self.reply_ended()
        metadata = chunk.metadata or {}
        for number, suggestion in enumerate(metadata.get("suggestions") or [], start=1):
            self.line(Text(f"  {number}. ", style="bold cyan") + shown(str(suggestion)))
        if metadata.get("partial"):
            self.note("(cut off here)")

    def _write(self, text: str) -> None:
        self._streamed += text
        if self._markdown is not None:
            self._markdown.write(text)
        else:
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
                return Text("The architect is revising the plan.", style="yellow")
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


def summary_panel(summary: TaskSummary, session_id: str) -> Panel:
    """Show how the task ended, which files it changed, and what it cost."""
    word, colour = _ENDS.get(summary.outcome, (f"Stopped ({summary.outcome})", "yellow"))
    facts = Text("files changed: ", overflow="fold")
    facts.append_text(shown(listed(summary.changed), "bold") if summary.changed else Text("none", "dim"))
    if summary.rejected:
        facts.append(f"\nrejected: {counted(summary.rejected, 'tool call')}", "yellow")
    asked = counted(summary.usage["llm_calls"], "model call")
    facts.append(f"\n{asked}, {counted(summary.usage['total_tokens'], 'token')}, {summary.seconds:.1f} s", "dim")
    facts.append(f"\nsession {session_id}", "dim")
    return Panel(facts, title=f"[bold]{word}[/bold]", title_align="left", border_style=colour)
