"""The scripted model behind `fake-llm`: a chat model without a network that executes small requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk

from llm.script.history import check_history
from llm.script.replies import ScriptedReply, reply_to
from llm.streaming import Piece, StreamingModel

_WORDS = re.compile(r"\s*\S+|\s+")
_ARGUMENT_PIECE_CHARS = 64


class ScriptedModel(StreamingModel):
    """A deterministic, stateless chat model: its reply depends only on the messages and the offered tools.

    It executes the eight verbs of `llm/script/verbs.py` in English and in Russian, one tool call at a time, classifies
    by the keywords of `routing/`, and reports the result of each step. It does nothing that it does not understand.

    **Scripts.** A user message with a line `#script` followed by a JSON list plays the replies of that list, one per
    model call of the turn:

        #script
        [{"text": "Let me look.", "tool": "read_file", "args": {"path": "a.py"}, "id": "call_1"},
         {"tools": [{"tool": "read_file", "args": {"path": "b.py"}}, {"tool": "list_files", "args": {"path": "."}}]},
         {"tool": "read_file", "args": "{broken json"},
         {"sleep": 2, "text": "slow"}, {"repeat": "word ", "times": 500, "delay": 0.01},
         {"text": "cut", "finish": "length"}, {"fail": "llm_unavailable"}, {"text": "Done."}]

    `fail` takes a model error's wire code; `finish` replaces the finish reason; `delay` is the pause before each word.
    `every` lets one word come in so many seconds by the clock, as from a server: a late reader finds several.

    Raises HistoryBroken when a tool call of the conversation has not exactly one answer.
    """

    @property
    def _llm_type(self) -> str:
        return "scripted"

    async def pieces(self, messages: list[BaseMessage], **options: Any) -> AsyncIterator[Piece]:
        """Stream one reply, each word after its pause."""
        check_history(messages)
        reply = reply_to(messages, [tool["function"]["name"] for tool in options.get("tools") or ()])
        if reply.sleep_s:
            await asyncio.sleep(reply.sleep_s)
        if reply.fail is not None:
            raise reply.fail
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, word in enumerate(_WORDS.findall(reply.text), 1):
            pause_s = reply.word_delay_s
            if reply.word_every_s:
                pause_s = began + number * reply.word_every_s - loop.time()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            yield word
        for index, call in enumerate(reply.calls):
            yield _part(index, name=call.name, call_id=call.id)
            for start in range(0, len(call.raw), _ARGUMENT_PIECE_CHARS):
                yield _part(index, args=call.raw[start : start + _ARGUMENT_PIECE_CHARS])
        finish = reply.finish or ("tool_calls" if reply.calls else "stop")
        yield AIMessageChunk(
            content="",
            usage_metadata=_usage(messages, reply),
            response_metadata={"finish_reason": finish, "model_name": "fake-llm"},
            chunk_position="last",
        )


def _part(index: int, *, name: str | None = None, args: str = "", call_id: str | None = None) -> AIMessageChunk:
    return AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=name, args=args, id=call_id, index=index)])


def _usage(messages: list[BaseMessage], reply: ScriptedReply) -> UsageMetadata:
    """Count tokens roughly: four characters each."""
    read = sum(len(str(message.content)) for message in messages) // 4 + 3 * len(messages)
    written = (len(reply.text) + sum(len(call.name) + len(call.raw) for call in reply.calls)) // 4 + 1
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
