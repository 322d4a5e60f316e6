"""The scripted model behind `fake-llm`: a chat model without a network that executes small requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from llm.script.history import check_history
from llm.script.replies import ScriptedReply, reply_to
from llm.streaming import Piece, StreamingModel, as_chunk

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

    `fail` takes a model error's wire code; `finish` replaces the finish reason; `delay` is the pause per word.
    Pauses apply to streams only.

    Raises HistoryBroken when a tool call of the conversation has not exactly one answer.
    """

    @property
    def _llm_type(self) -> str:
        return "scripted"

    async def pieces(self, messages: list[BaseMessage], **options: Any) -> AsyncIterator[Piece]:
        """Stream one reply, each word and each part of a call after its pause."""
        for pause_s, piece in self._paced(messages, options.get("tools")):
            if pause_s:
                await asyncio.sleep(pause_s)
            yield piece

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        paced = self._paced(messages, kwargs.get("tools"))
        return generate_from_stream(ChatGenerationChunk(message=as_chunk(piece)) for _, piece in paced)

    def _paced(
        self, messages: list[BaseMessage], tools: Sequence[dict[str, Any]] | None
    ) -> Iterator[tuple[float, Piece]]:
        """Make the pieces of one reply, each with the pause before it in seconds."""
        check_history(messages)
        reply = reply_to(messages, [tool["function"]["name"] for tool in tools or ()])
        pause_s = reply.sleep_s
        if reply.fail is not None:
            raise reply.fail
        for word in _WORDS.findall(reply.text):
            yield pause_s or reply.word_delay_s, word
            pause_s = 0.0
        for index, call in enumerate(reply.calls):
            head = tool_call_chunk(name=call.name, args="", id=call.id, index=index)
            yield pause_s, AIMessageChunk(content="", tool_call_chunks=[head])
            pause_s = 0.0
            for start in range(0, len(call.raw), _ARGUMENT_PIECE_CHARS):
                piece = call.raw[start : start + _ARGUMENT_PIECE_CHARS]
                part = tool_call_chunk(name=None, args=piece, id=None, index=index)
                yield 0.0, AIMessageChunk(content="", tool_call_chunks=[part])
        finish = reply.finish or ("tool_calls" if reply.calls else "stop")
        yield (
            pause_s,
            AIMessageChunk(
                content="",
                usage_metadata=_usage(messages, reply),
                response_metadata={"finish_reason": finish, "model_name": "fake-llm"},
                chunk_position="last",
            ),
        )


def _usage(messages: list[BaseMessage], reply: ScriptedReply) -> UsageMetadata:
    """Count tokens roughly: four characters each."""
    read = sum(len(str(message.content)) for message in messages) // 4 + 3 * len(messages)
    written = (len(reply.text) + sum(len(call.name) + len(call.raw) for call in reply.calls)) // 4 + 1
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
