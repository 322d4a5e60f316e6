"""Going on after a reply that ended at the model's length limit: a write in pieces, a text continued, a call again."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from errors import BudgetUsedUp, ModelBadReply, ModelError
from json_text import parse_json
from llm.chat_model import WrittenCall
from llm.streaming import Reply
from llm.tool_calls import written_call
from tools.catalog import BY_NAME

MAX_PIECES = 12
"""How many further replies one cut write may take."""
MAX_TEXT_PIECES = 2
_SHOWN_CHARS = 400
_MIN_OVERLAP_CHARS = 12
_CUT_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_FENCED = re.compile(r"\A\s*```[\w-]*\n(.*?)(?:\n```\s*)?\Z", re.DOTALL)

AskAgain = Callable[[Sequence[BaseMessage], bool], Awaitable[Reply]]
"""Asks with messages behind the conversation; False = the model may not call a tool."""


async def finish_calls(cut: Reply, ask_again: AskAgain, spare_calls: int) -> tuple[Reply, int]:
    """Get the calls of a reply that was cut inside them; also says how many model calls that took.

    Raises ModelBadReply when the model cannot do it within its limit.
    """
    try:
        return await _finish_calls(cut, ask_again, spare_calls)
    except BudgetUsedUp:
        raise
    except ModelError as error:
        raise ModelBadReply(
            "The language model's reply was cut at its length limit. Ask for less at once, or raise LLM_MAX_TOKENS.",
            reason="a call in a reply that was cut",
        ) from error


async def _finish_calls(cut: Reply, ask_again: AskAgain, spare_calls: int) -> tuple[Reply, int]:
    begun, used = _begun_write(cut.cut_calls), 0
    if begun is not None:
        text = begun.text
        while used < min(MAX_PIECES, spare_calls):
            used += 1
            reply = await ask_again(_rest_of_write(begun.arguments, text), False)
            if reply.calls or reply.cut_calls or not reply.text.strip():
                break
            text = _joined(text, reply.text)
            if reply.finish_reason != "length":
                arguments = json.dumps({**begun.arguments, begun.text_name: text}, ensure_ascii=False)
                whole = replace(written_call(begun.call.id, begun.call.name, arguments), extras=begun.call.extras)
                return replace(cut, calls=(whole,), cut_calls=()), used
    if used < spare_calls:
        used += 1
        names = ", ".join(dict.fromkeys(call.name for call in cut.cut_calls))
        reply = await ask_again(_told(cut.text, _CALL_AGAIN.format(names=names)), True)
        if not reply.cut_calls:
            return replace(reply, text=cut.text), used
    raise ModelBadReply


async def finish_text(cut: Reply, ask_again: AskAgain, spare_calls: int) -> tuple[Reply, int]:
    """Let the model go on with a text that was cut; what was said before stays valid when it cannot."""
    reply, used = cut, 0
    while reply.finish_reason == "length" and not reply.calls and used < min(MAX_TEXT_PIECES, spare_calls):
        used += 1
        try:
            further = await ask_again(_told(reply.text, _GO_ON), True)
        except ModelError:
            break
        reply = replace(further, text=reply.text + further.text, cut_calls=())
    return reply, used


_CALL_AGAIN = (
    "Your reply was cut at its length limit inside the call of {names}; nothing was run. Make the call again and "
    "keep it short: do less with one call, and the rest with the next ones."
)
_GO_ON = "Your reply was cut at its length limit. Go on exactly where it stopped and repeat nothing."


def _told(said: str, sentence: str) -> list[BaseMessage]:
    before: list[BaseMessage] = [AIMessage(said)] if said.strip() else []
    return [*before, HumanMessage(sentence, additional_kwargs={"hidden": True})]


@dataclass(frozen=True)
class _Begun:
    """A single call that was cut inside the text of a file."""

    call: WrittenCall
    arguments: dict[str, Any]
    text_name: str
    text: str


def _begun_write(calls: Sequence[WrittenCall]) -> _Begun | None:
    """Read a cut call up to where it was cut, when that is in its last argument and this becomes a file."""
    call = calls[0]
    tool = BY_NAME.get(call.name)
    if len(calls) != 1 or tool is None or tool.text is None or call.arguments is not None:
        return None
    key = re.search(rf'"{tool.text}"\s*:\s*"', call.raw)
    if key is None:
        return None
    rest = _CUT_ESCAPE.sub(r"\1", call.raw[key.end() :])
    try:
        arguments = parse_json(call.raw[: key.start()].rstrip().rstrip(",") + "}")
        text = json.loads(f'"{rest}"', strict=False)
    except ValueError:
        return None
    return _Begun(call, arguments, tool.text, text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore"))


def _rest_of_write(arguments: Mapping[str, Any], content: str) -> list[BaseMessage]:
    sentence = (
        f"You are writing the file {arguments.get('path')}. Your call was cut at your length limit; your last message "
        f"is the content so far, {len(content)} characters. It ends with:\n{content[-_SHOWN_CHARS:]}\nReply with the "
        "rest of the file from exactly there on: the raw text alone, no call, no fence, nothing repeated; end where "
        "the file ends."
    )
    return _told(content, sentence)


def _joined(content: str, further: str) -> str:
    """Put a piece behind the content: without a fence round it, and without what it repeats of the end."""
    fenced = _FENCED.match(further)
    piece = fenced[1] if fenced else further
    for size in range(min(len(content), len(piece), 2 * _SHOWN_CHARS), _MIN_OVERLAP_CHARS - 1, -1):
        if content.endswith(piece[:size]):
            return content + piece[size:]
    return content + piece
