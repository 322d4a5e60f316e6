"""Conversion between the tables and the thread: the answers that resume a run, and the messages of the history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.types import Command

from agents.thread.conversation import open_calls
from agents.thread.tool_messages import Answer, plan_text, question_text, switch_text, tool_text, unmade_edit_text
from json_text import storable
from policy.verdicts.sanitize import cap, clean_result
from state import tool_message, tool_message_id
from storage.tables.calls import QUESTIONS, CallRecord
from storage.tables.messages import MessageRecord
from tools.catalog import BY_NAME


def resume_command(records: Sequence[CallRecord]) -> Command[Any]:
    """Answer every interrupt of a settled round at once, by its id."""
    return Command(resume={record.interrupt_id: _answer(record) for record in records})


def _answer(record: CallRecord) -> dict[str, Any]:
    answer = record.answer()
    if record.kind in QUESTIONS and isinstance(record.result, dict):
        return answer | record.result
    return answer


def tool_record(record: CallRecord) -> MessageRecord:
    """The tool message of a settled call for the history, the same that its node writes to the thread.

    A call that carries out a part of the model's call answers that one.
    """
    answer: Answer = record.answer()  # type: ignore[assignment] # the same keys
    match record.kind:
        case "question":
            content = question_text(record.arguments)
        case "switch":
            content = switch_text(record.arguments["mode"], (record.result or {}).get("content", ""))
        case "plan_review":
            content = plan_text(record.plan_id or "", answer)
        case _:
            content = tool_text(answer)
    call_id, tool_name = record.call_id, record.tool_name
    if record.part_of is not None:
        if record.part_of["call_id"] != call_id:
            content = unmade_edit_text(answer)
        call_id, tool_name = record.part_of["call_id"], record.part_of["tool_name"]
    return MessageRecord(tool_message_id(call_id), "tool", content, tool_name, call_id)


def missing_messages(
    thread: Sequence[AnyMessage], history: Sequence[MessageRecord], max_result_chars: int
) -> list[AnyMessage]:
    """What the history holds and the thread lacks, after a run that ended without its last checkpoint.

    Every call of the thread's last assistant message gets its ToolMessage, whatever the history says.
    """
    known = {message.id for message in thread}
    last = max((i for i, record in enumerate(history) if record.id in known), default=-1)
    added = [_thread_message(record, max_result_chars) for record in history[last + 1 :]]
    answered = {message.tool_call_id for message in added if isinstance(message, ToolMessage)}
    unanswered = [call for call in open_calls(list(thread)) if call["id"] not in answered]
    lost = "The run ended before the result of this call was known. It may or may not have run."
    return [tool_message(str(call["id"]), call["name"], lost) for call in unanswered] + _paired(added)


def _paired(messages: list[AnyMessage]) -> list[AnyMessage]:
    """Answer the calls of added assistant messages too, right behind them."""
    paired: list[AnyMessage] = []
    for index, message in enumerate(messages):
        paired.append(message)
        if isinstance(message, AIMessage) and message.tool_calls:
            following = {m.tool_call_id for m in messages[index + 1 :] if isinstance(m, ToolMessage)}
            lost = "The run ended before this call was carried out."
            paired += [
                tool_message(str(c["id"]), c["name"], lost) for c in message.tool_calls if c["id"] not in following
            ]
    return paired


def _thread_message(record: MessageRecord, max_result_chars: int) -> AnyMessage:
    if record.role == "user":
        return HumanMessage(record.content, id=record.id)
    if record.role == "tool":
        content = cap(clean_result(record.content), max_result_chars)
        message = tool_message(str(record.tool_call_id), record.name or "unknown", content)
        # Whether a client's tool was run cannot be told from its message: marked as data it harms nobody.
        if record.name in BY_NAME and BY_NAME[record.name].runs == "client":
            message.additional_kwargs["untrusted"] = True
        return message
    calls = [
        {"id": c["id"], "name": c["name"], "args": c["arguments"], "type": "tool_call"} for c in record.tool_calls or []
    ]
    return AIMessage(content=record.content, id=record.id, name=record.name, tool_calls=calls)


def openai_calls(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls in the form of OpenAI's API, as `GET /sessions/{id}/history` shows them."""
    return [
        {
            "id": call["id"],
            "type": "function",
            "function": {
                "name": call["name"],
                "arguments": json.dumps(storable(call["arguments"]), ensure_ascii=False),
            },
        }
        for call in calls
    ]
