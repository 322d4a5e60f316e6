"""A conversation with a model, without the runtime: its calls are carried out in a folder by the terminal client."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from llm.chat_model import Models
from llm.streaming import Reply
from tools.catalog import BY_NAME
from tools.tool import Tool

CODER = (  # as agents/roster.py has it, which lies above llm/
    "switch_mode read_file write_file list_files create_directory execute_command search_in_code "
    "attempt_completion ask_followup_question"
)
_READER = "switch_mode read_file list_files search_in_code attempt_completion ask_followup_question"
AGENTS = {
    "coder": CODER,
    "architect": f"{_READER} write_file create_plan",
    "debug": f"{_READER} execute_command",
    "ask": _READER,
    "universal": f"echo calculator {CODER.replace('switch_mode ', '')}",
}


def as_data(tool: str, result: str) -> str:
    """A client's result as the runtime hands it to a model."""
    body = result.replace("</tool_result", "<\\/tool_result")
    return f'<tool_result tool="{tool}">\n{body}\n</tool_result>'


def tools_of(agent: str) -> tuple[Tool, ...]:
    """The tools that an agent is offered."""
    return tuple(BY_NAME[name] for name in AGENTS[agent].split())


@dataclass
class Conversation:
    """The messages, the folder, and what the user decides."""

    folder: Path
    agent: str = "coder"
    decide: Callable[[str, Mapping[str, Any]], str | None] = lambda *_: None
    """The tool message for a call, in place of carrying it out, or None."""
    messages: list[BaseMessage] = field(default_factory=list)
    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    models: Models = field(default_factory=Models)

    async def send(self, text: str) -> str:
        """Send a user message and play the turn to its end; return what the user reads last."""
        self.messages.append(HumanMessage(text))
        for _ in range(30):
            shown: list[str] = []
            reply = await self.models.reply(self.messages, tools=tools_of(self.agent), on_text=shown.append)
            assert "".join(shown) == reply.text
            if not reply.calls:
                self.messages.append(AIMessage(reply.text))
                return reply.text
            ended = self._carry_out(reply)
            if ended is not None:
                return ended
        raise AssertionError(f"the turn does not end: {self.made}")

    def tools(self) -> list[str]:
        """The names of the calls made so far."""
        return [name for name, _ in self.made]

    def _carry_out(self, reply: Reply) -> str | None:
        assert len(reply.calls) == 1, "one call at a time"
        call = reply.calls[0]
        assert call.arguments is not None, call.problem
        assert call.name in AGENTS[self.agent].split(), f"{call.name} was not offered to {self.agent}"
        assert BY_NAME[call.name].misfit(call.arguments) is None
        self.made.append((call.name, call.arguments))
        written = {"id": call.id, "name": call.name, "args": call.arguments, "type": "tool_call"}
        self.messages.append(AIMessage(reply.text, tool_calls=[written]))
        refusal = self.decide(call.name, call.arguments)
        text = refusal if refusal is not None else self._result(call.name, call.arguments)
        if refusal is None and BY_NAME[call.name].runs == "client":
            text = as_data(call.name, text)
        self.messages.append(ToolMessage(text, tool_call_id=call.id))
        if call.name == "attempt_completion":
            return str(call.arguments["result"])
        if call.name == "ask_followup_question":
            return str(call.arguments["question"])
        if call.name == "create_plan" and refusal is None:
            return str(call.arguments["title"])
        return None

    def _result(self, tool: str, arguments: Mapping[str, Any]) -> str:
        if tool == "switch_mode":
            self.agent = str(arguments["mode"])
            return f"Switched to {self.agent} agent"
        if tool in {"attempt_completion", "ask_followup_question", "create_plan"}:
            return json.dumps({"status": "done", **arguments}, ensure_ascii=False)
        execute = BY_NAME[tool].execute
        if execute is not None:
            return execute(arguments)
        executor = WorkspaceExecutor(Workspace(self.folder))
        request = ToolRequest(tool, dict(arguments), is_asked=True)
        outcome = executor.execute(executor.examine(request))
        return f"Error: {outcome.error}" if outcome.error else json.dumps(outcome.result, ensure_ascii=False)
