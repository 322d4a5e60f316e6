"""ChatOpenAI with our own transport and reader: its settings and message conversion, one parse of the reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_openai import ChatOpenAI
from pydantic import ConfigDict, model_validator

from llm.failure import Failure
from llm.reply.body import PROVIDER, Ending, ReplyBody
from llm.request.fields import changed
from llm.request.messages import normalised
from llm.streaming import Piece, StreamingModel
from llm.transport import ModelServer, read_rest


class EndpointChat(StreamingModel, ChatOpenAI):
    """A chat model behind any OpenAI-compatible server; asynchronous, streams.

    Importing this module loads openai and tiktoken, which takes a second of CPU: import it late, in a thread.
    Raises `Failure` for everything that goes wrong in one attempt; `Failure.sent` is the request.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    server: ModelServer
    use_responses_api: bool | None = False

    @model_validator(mode="after")
    def validate_environment(self) -> EndpointChat:
        """Build no SDK client and read no environment: requests go through `server`."""
        return self

    async def pieces(
        self, messages: list[BaseMessage], *, changes: Collection[str] = (), **options: Any
    ) -> AsyncIterator[Piece]:
        """Stream one reply of the server, its request changed as `llm.request.fields` says."""
        payload = self._request(messages, options)
        if changes:
            payload = changed(payload, changes)
        body = ReplyBody()
        try:
            async with self.server.post(payload) as blocks:
                async for block in blocks:
                    text = body.feed(block)
                    if text:
                        yield text
                    if body.is_done:
                        await read_rest(blocks)
                        break
            last = _last_chunk(*body.end())
        except Failure as failure:
            failure.sent = payload
            raise
        yield last

    def _request(self, messages: list[BaseMessage], options: dict[str, Any]) -> dict[str, Any]:
        limit = options.pop("max_tokens", None)
        payload = self._get_request_payload(messages, stream=True, stream_options={"include_usage": True}, **options)
        if limit is not None:
            payload["max_tokens"] = limit  # what most servers know; one that wants the newer name says so
        for message, written in zip(messages, payload["messages"], strict=True):
            if isinstance(message, AIMessage):
                _return_extras(message, written, self.model_name)
        payload["messages"] = normalised(payload["messages"])
        return {**payload.pop("extra_body", {}), **payload}


def _return_extras(message: AIMessage, written: dict[str, Any], model: str) -> None:
    """Give a provider back what it wrote beside a message and its calls, while the model is the same."""
    kept = message.additional_kwargs.get(PROVIDER)
    if not isinstance(kept, Mapping) or kept.get("model") != model:
        return
    written.update({key: value for key, value in kept.get("message", {}).items() if key not in written})
    for call in written.get("tool_calls", []):
        call.update({k: v for k, v in kept.get("calls", {}).get(call["id"], {}).items() if k not in call})


def _last_chunk(text: str, ending: Ending) -> AIMessageChunk:
    calls = [
        tool_call_chunk(name=call.name, args=call.arguments, id=call.id, index=index)
        for index, call in enumerate(ending.calls)
    ]
    beside = {str(index): call.extras for index, call in enumerate(ending.calls) if call.extras}
    found = {"finish_reason": ending.finish, "model_name": ending.model}
    return AIMessageChunk(
        content=text,
        tool_call_chunks=calls,
        additional_kwargs={PROVIDER: {"message": ending.extras, "calls": beside}} if ending.extras or beside else {},
        usage_metadata=_counted(ending.usage),
        response_metadata={key: value for key, value in found.items() if value},
        chunk_position="last",
    )


def _counted(usage: Mapping[str, Any] | None) -> UsageMetadata | None:
    if usage is None:
        return None
    prompt, completion, total = (
        next((count for key in keys if (count := _int(usage.get(f"{key}_tokens"))) is not None), None)
        for keys in (("prompt", "input"), ("completion", "output"), ("total",))
    )
    if prompt is None or completion is None:
        return None
    cached = _cached(usage)
    counted = UsageMetadata(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=prompt + completion if total is None else total,
    )
    if cached is not None:
        counted["input_token_details"] = InputTokenDetails(cache_read=cached)
    return counted


def _cached(usage: Mapping[str, Any]) -> int | None:
    """The prompt tokens of the server's cache, wherever a family counts them; None where it does not."""
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    places = [details.get("cached_tokens")] if isinstance(details, Mapping) else []
    places += [usage.get(name) for name in ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")]
    return next((cached for cached in map(_int, places) if cached is not None), None)


def _int(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
