"""Replies while they stream: a chat model of LangChain that gives them in pieces, and what the pieces come to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, AsyncCallbackManagerForLLMRun, BaseCallbackManager
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import ensure_config

from llm.failure import unreachable, unreadable
from llm.reply.body import PROVIDER, reasoning_of
from llm.reply.repairs import repaired_calls
from llm.reply.text import PROXY_ERROR, ReplyText, Thoughts
from llm.tool_calls import WrittenCall, written_call
from tools.tool import Tool

_AT_LIMIT = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
Piece = str | AIMessageChunk
"""Text that is ready, or what else a reply brings."""


class StreamingModel(BaseChatModel):
    """A chat model whose replies stream as pieces, at no cost of callbacks where none listen; asynchronous."""

    @abstractmethod
    def pieces(self, messages: list[BaseMessage], **options: Any) -> AsyncIterator[Piece]:
        """Stream one reply; the last piece is a chunk with the end of it."""

    def stream_reply(self, messages: list[BaseMessage], **options: Any) -> AsyncIterator[Piece]:
        """Stream one reply, through LangChain's callbacks where the run around it has any, such as Studio's."""
        return self.astream(messages, **options) if has_callbacks() else self.pieces(messages, **options)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002 the signature is langchain's
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for piece in self.pieces(messages, **kwargs):
            yield ChatGenerationChunk(message=as_chunk(piece))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("Use the asynchronous methods of this model.")


def as_chunk(piece: Piece) -> AIMessageChunk:
    """Write a piece as a chunk of LangChain."""
    return AIMessageChunk(content=piece) if isinstance(piece, str) else piece


def has_callbacks() -> bool:
    """Whether callbacks, or LangChain's tracing, follow the model calls of the run around this call."""
    given = ensure_config().get("callbacks")
    if isinstance(given, BaseCallbackManager):  # LangGraph's, which has asked for tracing already
        return bool(given.handlers)
    return bool(AsyncCallbackManager.configure(given).handlers)


@dataclass(frozen=True)
class Usage:
    """The tokens of one reply, as the server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    """How much of the prompt the server had in its cache; None when it does not say."""


@dataclass(frozen=True)
class Reply:
    """What a model answered: text, calls or both; neither only where that was allowed or the reply was cut."""

    text: str
    """Exactly what went to `on_text`, joined; "" when there was none."""
    calls: tuple[WrittenCall, ...]
    finish_reason: str | None
    """`length` for every reply that ended at the server's limit, whatever the server calls it."""
    usage: Usage | None
    """None when the server did not say."""
    model: str
    duration_ms: int
    """The wall time of the whole call, failed attempts and waits included."""
    attempts: int
    """How many requests were sent for this reply."""
    calls_were_text: bool
    """Whether the calls were found in the text of the reply instead of its `tool_calls`."""
    cut_calls: tuple[WrittenCall, ...] = ()
    """Calls of a reply that ended at its length limit: none of them may run."""
    reasoning: str = ""
    """The model's thoughts, which are no answer."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What the provider wrote beside the message; it may want it back."""
    repairs: tuple[str, ...] = ()
    """What was repaired in the calls."""


@dataclass
class Incoming:
    """The reply of one attempt while it streams in."""

    text: ReplyText
    thoughts: Thoughts
    calls: dict[int, list[str]] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    call_extras: dict[str, Any] = field(default_factory=dict)

    def take(self, piece: Piece) -> None:
        """Take the next piece of the stream."""
        if isinstance(piece, str):
            self._take_text(piece)
        else:
            self._take_text(str(piece.text))
            self._take_rest(piece)

    def _take_text(self, text: str) -> None:
        if text:
            answer = self.thoughts.feed(text)
            if answer:
                self.text.feed(answer)

    def _take_rest(self, chunk: AIMessageChunk) -> None:
        for part in chunk.tool_call_chunks:
            index = part.get("index")
            slot = index if isinstance(index, int) else max(self.calls, default=0)
            call = self.calls.setdefault(slot, ["", "", ""])
            call[0] = call[0] or part.get("id") or ""
            call[1] = call[1] or part.get("name") or ""
            call[2] += part.get("args") or ""
        if chunk.usage_metadata:
            counted = chunk.usage_metadata
            cached = counted.get("input_token_details", {}).get("cache_read")
            self.usage = Usage(counted["input_tokens"], counted["output_tokens"], counted["total_tokens"], cached)
        beside = chunk.additional_kwargs.get(PROVIDER)
        if beside:
            self.extras, self.call_extras = beside["message"], beside["calls"]
        self.finish_reason = chunk.response_metadata.get("finish_reason") or self.finish_reason
        self.model = chunk.response_metadata.get("model_name") or self.model

    def settle(self, tools: Sequence[Tool], *, may_be_empty: bool) -> Reply:
        """Decide what the reply is, now that all of it is there."""
        text = self.text
        if rest := self.thoughts.end():
            text.feed(rest)
        if text.held.lstrip().startswith(PROXY_ERROR):
            raise unreachable()
        ended_blank = text.is_blank
        text.close()
        finish = "length" if (self.finish_reason or "").lower() in _AT_LIMIT else self.finish_reason
        if ended_blank:
            finish = "stop"  # whatever the server says: nothing more was coming
        native = [
            replace(written_call(*parts), extras=self.call_extras.get(str(index), {}))
            for index, parts in sorted(self.calls.items())
        ]
        written = native or text.calls
        found, repairs = repaired_calls(written, tools) if written else ([], [])
        calls, cut = (found, []) if not native or finish != "length" else ([], found)
        if not found and not text.text.strip() and not (may_be_empty and finish != "length"):
            raise unreadable("an empty reply")
        if any(not call.name for call in found):
            raise unreadable("a call without a name")
        if finish not in {"tool_calls", "stop", "length"} and any(call.arguments is None for call in calls):
            raise unreadable(f"a call that may be cut in a reply that ended with {finish}")
        return Reply(
            text=text.text,
            calls=tuple(calls),
            finish_reason=finish,
            usage=self.usage,
            model=self.model,
            duration_ms=0,
            attempts=0,
            calls_were_text=bool(calls) and not native,
            cut_calls=tuple(cut),
            reasoning=self.thoughts.text or reasoning_of(self.extras),
            extras=self.extras,
            repairs=tuple(repairs),
        )
