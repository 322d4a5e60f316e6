"""`edit_file` for a client without it: a hidden `read_file` of the whole file, then the `write_file` of its new text.

docs/protocol.md, Tools.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agents.roster import ROSTER, Agent
from agents.thread.tool_messages import Answer, tool_text, unmade_edit_text
from context import Context
from json_text import storable
from policy.decide import Call, decide
from policy.verdicts.verdict import Verdict
from state import CompiledCall, DecidedCall
from tools.catalog import BY_NAME
from tools.edit_file import EDIT_FILE, edited
from tools.read_file import READ_FILE
from tools.write_file import WRITE_FILE, loss_between, refusal_of_loss

READ_SUFFIX = ".read"
"""Behind the id of the edit: the id of its read."""
_CUT_SIGNS = ("truncated", "is_truncated", "partial", "has_more", "cut")
_LINE_COUNTS = ("total_lines", "line_count", "lines_total", "total_line_count")
_BYTE_COUNTS = ("size", "file_size", "total_size", "total_bytes", "bytes_total")
_CUT_END = re.compile(
    r"(?:\.\.\.|…|[\[(<]).{0,40}(?:truncated|omitted|left out|cut off|more (?:lines?|characters|bytes)).{0,40}\Z",
    re.IGNORECASE,
)
"""How a text ends that a client has cut, where nothing beside it says so."""


def decided(call_id: str, call: Call, agent: str, verdict: Verdict) -> DecidedCall:
    """Put a call and its verdict together."""
    wire = {**verdict.as_wire(), "ask_reason": verdict.ask_reason}
    made: DecidedCall = {
        "call_id": call_id,
        "tool_name": call.tool,
        "arguments": dict(call.arguments),
        "agent": agent,
        "verdict": wire,
    }
    return {**made, "as_text": True} if call.as_text else made


def ids_of(call_id: str, tool_name: str) -> tuple[str, ...]:
    """List the ids that carrying out a call of the model may take."""
    is_compiled = tool_name == EDIT_FILE.name
    return (call_id, f"{call_id}{READ_SUFFIX}") if is_compiled else (call_id,)


def is_compiled(tool_name: str, context: Context) -> bool:
    """Whether other tools carry out this one, because the client does not run it."""
    tool = BY_NAME[tool_name]
    return bool(tool.made_of) and tool_name not in context.facts.environment.tools


def read_of(edit: Call) -> Call:
    """The read with which an edit begins."""
    return Call(READ_FILE.name, {"path": edit.arguments["path"]}, edit.as_text)


def begin(edit: DecidedCall, read: Call, verdict: Verdict) -> DecidedCall:
    """The decided read that carries its edit."""
    part_of: CompiledCall = {
        "call_id": edit["call_id"],
        "tool_name": edit["tool_name"],
        "arguments": edit["arguments"],
        "verdict": edit["verdict"],
        "as_text": edit.get("as_text", False),
    }
    return {**decided(f"{edit['call_id']}{READ_SUFFIX}", read, edit["agent"], verdict), "part_of": part_of}


def is_read_of_edit(call: DecidedCall) -> bool:
    """Whether a call is the hidden read of an edit."""
    return "part_of" in call and call["part_of"]["call_id"] != call["call_id"]


def go_on_after(call: DecidedCall, answer: Answer, context: Context) -> DecidedCall | str:
    """Say what follows a settled call of the client: the write that completes an edit, or what the model reads."""
    if not is_read_of_edit(call):
        return tool_text(answer)
    if answer.get("ended_by") or answer.get("decision") == "reject" or answer.get("error"):
        return unmade_edit_text(answer)
    edit = call["part_of"]
    path = str(edit["arguments"]["path"])
    try:
        before = _whole_text(answer, path)
        text = edited(before, **{**edit["arguments"], "path": path}, may_quote=True)
    except ValueError as error:
        return f"Error: {error}"
    return _write(call, edit, {"path": path, "content": text}, context, before)


def _write(
    read: DecidedCall, edit: CompiledCall, arguments: dict[str, Any], context: Context, before: str
) -> DecidedCall | str:
    """Judge the write of a file that held `before`; where a rule is stricter about the edit, its verdict holds."""
    agent: Agent = ROSTER[read["agent"]]
    call = Call(WRITE_FILE.name, arguments, edit["as_text"])
    verdict = decide(call, agent.rights(agent.tools), context.facts, context.rules)
    if verdict.decision == "deny":
        return verdict.reasons[0].text
    loss = loss_between(before, arguments["content"], verdict.path)
    if loss is not None:
        if not context.facts.human:
            return refusal_of_loss(loss)
        verdict = verdict.asked_about(loss)
    write: DecidedCall = {**decided(edit["call_id"], call, agent.name, verdict), "part_of": edit}
    if verdict.decision == "allow" and edit["verdict"]["verdict"] == "ask":
        write["verdict"] = edit["verdict"]
    return write


def _whole_text(answer: Answer, path: str) -> str:
    """The text of the file that was read; ValueError where the read did not return all of it as it is."""
    result = answer.get("result")
    text = result.get("content") if isinstance(result, Mapping) else result
    if answer.get("arguments") is not None:
        raise ValueError(f"The user had something else read than {path}; nothing was edited.")
    if not isinstance(text, str) or is_cut(result, text):
        raise ValueError(f"{path} could not be read as a whole, so nothing was edited: use write_file.")
    if "\ufffd" in text or storable(text) != text:
        raise ValueError(f"{path} holds characters that cannot be read as text, so nothing was edited.")
    return text


def is_cut(result: object, text: str) -> bool:
    """Whether a client says, beside the text or at its end, that it returned less than the file."""
    if _CUT_END.search(text[-200:].rstrip()):
        return True
    if not isinstance(result, Mapping):
        return False
    counts = {
        **dict.fromkeys(_LINE_COUNTS, len(text.splitlines()) + 1),
        **dict.fromkeys(_BYTE_COUNTS, len(text.encode()) + 3),
    }
    return any(result.get(sign) is True for sign in _CUT_SIGNS) or any(
        isinstance(total := result.get(name), int) and total > returned for name, returned in counts.items()
    )
