"""A small IDE for tests: it carries out the scripted model's calls in a folder and writes the tool messages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from llm.chat_model import Models, Reply
from tools.catalog import BY_NAME
from tools.tool import Tool

CODER = (  # as agents/roster.py has it, which lies above llm/
    "echo calculator switch_mode read_file write_file list_files create_directory execute_command search_in_code "
    "attempt_completion ask_followup_question"
)
_READER = "switch_mode read_file list_files search_in_code attempt_completion ask_followup_question"
AGENTS = {
    "coder": CODER,
    "architect": f"{_READER} write_file create_plan",
    "debug": f"{_READER} execute_command calculator",
    "ask": _READER,
}


def as_data(tool: str, result: str) -> str:
    """A client's result as the runtime hands it to a model."""
    body = result.replace("</tool_result", "<\\/tool_result")
    return f'<tool_result tool="{tool}">\n{body}\n</tool_result>'


def tools_of(agent: str) -> tuple[Tool, ...]:
    """The tools that an agent is offered."""
    return tuple(BY_NAME[name] for name in AGENTS[agent].split())


@dataclass
class Ide:
    """One session: the conversation, the folder, and what the user decides."""

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
        try:
            return json.dumps(_WORK[tool](self.folder, arguments), ensure_ascii=False)
        except OSError as error:
            return f"Error: {error.strerror}: {arguments.get('path')}"


def _read_file(folder: Path, arguments: Mapping[str, Any]) -> Any:
    lines = (folder / arguments["path"]).read_text("utf-8").splitlines(keepends=True)
    lines = lines[arguments.get("start_line", 1) - 1 : arguments.get("end_line")]
    return {"success": True, "content": "".join(lines), "lines_read": len(lines)}


def _write_file(folder: Path, arguments: Mapping[str, Any]) -> Any:
    path = folder / arguments["path"]
    if arguments.get("create_dirs"):
        path.parent.mkdir(parents=True, exist_ok=True)
    return {"success": True, "bytes_written": path.write_text(arguments["content"], "utf-8")}


def _list_files(folder: Path, arguments: Mapping[str, Any]) -> Any:
    root = folder / arguments["path"]
    found = sorted(root.rglob("*") if arguments.get("recursive") else root.iterdir())
    items = [
        {"name": p.name, "path": str(p.relative_to(folder)), "type": "directory" if p.is_dir() else "file"}
        for p in found
    ]
    return {"success": True, "path": arguments["path"], "items": items, "total_count": len(items)}


def _create_directory(folder: Path, arguments: Mapping[str, Any]) -> Any:
    (folder / arguments["path"]).mkdir(parents=True)
    return {"success": True, "path": arguments["path"], "created": True, "already_exists": False}


def _execute_command(folder: Path, arguments: Mapping[str, Any]) -> Any:
    command = str(arguments["command"]).replace("python ", f"{sys.executable} ", 1)
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return {"exit_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def _search_in_code(folder: Path, arguments: Mapping[str, Any]) -> Any:
    matches = [
        {"path": str(path.relative_to(folder)), "line": number, "content": line}
        for path in sorted((folder / arguments.get("path", ".")).rglob("*"))
        if path.is_file()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if arguments["query"] in line
    ]
    return {"query": arguments["query"], "matches": matches, "total_matches": len(matches), "truncated": False}


_WORK: dict[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "read_file": _read_file,
    "write_file": _write_file,
    "list_files": _list_files,
    "create_directory": _create_directory,
    "execute_command": _execute_command,
    "search_in_code": _search_in_code,
}
