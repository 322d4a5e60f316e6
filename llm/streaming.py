"""A chat model of LangChain that gives its replies in pieces, at no cost of callbacks where none listen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, AsyncCallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel, agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import ensure_config

Piece = str | AIMessageChunk
"""Text that is ready, or what else a reply brings."""


class StreamingModel(BaseChatModel):
    """A chat model whose replies stream as pieces; asynchronous."""

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
    return bool(AsyncCallbackManager.configure(ensure_config().get("callbacks")).handlers)
