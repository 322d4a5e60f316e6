"""The one door to a chat model: ask it, stream its text, read its calls strictly, and try again where that is safe."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage

from errors import ConfigurationError
from llm.failure import Failure, too_slow, unreachable, unreadable
from llm.scripted import ScriptedModel
from llm.text_tool_calls import PROXY_ERROR, TextGate
from llm.tool_calls import WrittenCall, written_call
from llm.transport import base_url, is_loopback, open_client
from tools.tool import Tool

__all__ = ["ALLOW_REMOTE_MODELS", "BUILT_IN_MODEL", "Models", "Reply", "Retry", "Usage", "WrittenCall"]

ALLOW_REMOTE_MODELS = True
"""Tests set this to False: then a model on another machine is refused before any connection."""

BUILT_IN_MODEL = "fake-llm"
"""The model name that stands for `ScriptedModel`: no network."""

MAX_REPLY_CHARS = 4_000_000
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """The tokens of one reply, as the server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Reply:
    """What a model answered: text, calls or both, never neither."""

    text: str
    """Exactly what went to `on_text`, joined; "" when there was none."""
    calls: tuple[WrittenCall, ...]
    finish_reason: str | None
    usage: Usage | None
    """None when the server did not say."""
    model: str
    duration_ms: int
    """The wall time of the whole call, failed attempts and waits included."""
    attempts: int
    """How many requests were sent for this reply."""
    calls_were_text: bool
    """Whether the calls were found in the text of the reply instead of its `tool_calls`."""


@dataclass(frozen=True)
class Retry:
    """An attempt failed and another one follows."""

    attempt: int
    """The number of the attempt to come, from 2 on."""
    max_attempts: int
    delay_s: float
    """The wait before it."""
    code: str
    """The wire code of what went wrong (protocol section 4)."""


@dataclass
class _Heard:
    """What came of one attempt."""

    gate: TextGate
    calls: dict[int, list[str]] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    chars: int = 0


class Models:
    """The configured chat model, for any number of calls at once in one event loop.

    `proxy_url` gets the header `X-Internal-Auth: <internal_key>`, or, when there is an `api_key`,
    `Authorization: Bearer <api_key>` instead. `timeout_s` limits one attempt as a whole.
    """

    def __init__(
        self,
        *,
        model: str = BUILT_IN_MODEL,
        proxy_url: str = "http://localhost:8002",
        internal_key: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 360,
        max_retries: int = 2,
    ) -> None:
        self._model = model
        self._base_url = base_url(proxy_url)
        self._internal_key = internal_key
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._max_attempts = 1 + max(0, max_retries)
        self._http: httpx.AsyncClient | None = None
        self._client: BaseChatModel | None = None
        self._opening = asyncio.Lock()
        self._not_understood: set[str] = set()  # request fields that the server answered with 400

    async def open(self) -> None:
        """Import and build the client ahead of the first call: that costs about a second, in a thread."""
        async with self._opening:
            if self._client is None:
                self._client = await self._make_client()

    async def aclose(self) -> None:
        """Close all connections; a later call opens them again."""
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.aclose()

    async def reply(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool] = (),
        temperature: float | None = None,
        json_schema: Mapping[str, Any] | None = None,
        tool_choice: Literal["auto", "required"] | None = None,
        on_text: Callable[[str], None] | None = None,
        on_retry: Callable[[Retry], None] | None = None,
    ) -> Reply:
        """Ask the model once, and again after a failure that allows it (protocol S25), never after text was shown.

        `json_schema` and `tool_choice` are wishes: a server that answers 400 to one is asked at once without it, and
        never again with it. `on_text` gets text as it comes, `on_retry` speaks before each wait.
        Raises ModelUnavailable, ModelTimeout or ModelBadReply; ConfigurationError when remote models are forbidden.
        """
        started = time.perf_counter()
        if not (ALLOW_REMOTE_MODELS or self._model == BUILT_IN_MODEL or is_loopback(self._base_url)):
            raise ConfigurationError("Models on other machines are forbidden here: use fake-llm or a local address.")
        if self._client is None:
            await self.open()
        names = [tool.name for tool in tools]
        wishes = _wishes(tools, temperature, json_schema, tool_choice)
        attempts = retries = 0
        while True:
            attempts += 1
            heard = _Heard(TextGate(names, on_text))
            sent = {name: value for name, value in wishes.items() if name not in self._not_understood}
            try:
                try:
                    async with asyncio.timeout(self._timeout_s):
                        await self._hear(messages, sent, heard)
                except TimeoutError as error:
                    raise too_slow() from error
                text, calls = _settle(heard)
            except Failure as failure:
                unwanted = _unwanted(failure, sent)
                if unwanted is not None and not heard.gate.is_shown:
                    self._not_understood.add(unwanted)
                    _log.info("model takes no such field", extra={"action": "model_field_dropped", "field": unwanted})
                    continue
                retries += 1
                if not failure.again or heard.gate.is_shown or retries >= self._max_attempts:
                    failure.error.details["attempts"] = attempts
                    raise failure.error from failure
                delay_s = _delay_s(retries) if failure.retry_after_s is None else failure.retry_after_s
                code = failure.error.code
                reason = failure.error.details.get("reason", failure.error.details.get("status", "no answer"))
                _log.warning(
                    "model call fails and is tried again: %s, %s",
                    code,
                    reason,
                    extra={"action": "model_retry", "code": code, "attempt": attempts},
                )
                if on_retry is not None:
                    on_retry(Retry(retries + 1, self._max_attempts, delay_s, code))
                await asyncio.sleep(delay_s)
            else:
                return Reply(
                    text=text,
                    calls=calls,
                    finish_reason=heard.finish_reason,
                    usage=heard.usage,
                    model=heard.model or self._model,
                    duration_ms=round((time.perf_counter() - started) * 1000),
                    attempts=attempts,
                    calls_were_text=bool(heard.gate.calls),
                )

    async def _hear(self, messages: Sequence[BaseMessage], sent: Mapping[str, Any], heard: _Heard) -> None:
        """Stream one reply into `heard`."""
        assert self._client is not None
        options = dict(sent)
        if "response_format" in options:
            # as a plain body field: ChatOpenAI would otherwise parse the reply itself, and raise its own errors
            options["extra_body"] = {"response_format": options.pop("response_format")}
        async with aclosing(self._client.astream(list(messages), **options)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                _hear_chunk(chunk, heard)
                if heard.gate.is_blank:
                    heard.finish_reason = "length"
                    return

    async def _make_client(self) -> BaseChatModel:
        if self._model == BUILT_IN_MODEL:
            return ScriptedModel()
        headers: dict[str, str] = {}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        elif self._internal_key:
            headers["X-Internal-Auth"] = self._internal_key
        self._http = open_client(self._base_url, headers, self._timeout_s)
        return await asyncio.to_thread(_chat_openai, self._model, self._base_url, self._http, self._timeout_s)


def _chat_openai(model: str, url: str, http: httpx.AsyncClient, timeout_s: float) -> BaseChatModel:
    """Import langchain_openai, which takes about a second, and make its client."""
    from langchain_openai import ChatOpenAI

    async def no_key() -> str:  # an async key spares the client's unused synchronous twin; the transport sends ours
        return "unused"

    return ChatOpenAI(
        model=model,
        base_url=url,
        api_key=no_key,
        http_async_client=http,
        timeout=timeout_s,
        max_retries=0,
        streaming=True,
        stream_usage=True,
        stream_chunk_timeout=None,
        use_responses_api=False,
    )


def _wishes(
    tools: Sequence[Tool],
    temperature: float | None,
    json_schema: Mapping[str, Any] | None,
    tool_choice: str | None,
) -> dict[str, Any]:
    """Collect the optional fields of the request (protocol section 10, Model call)."""
    wishes: dict[str, Any] = {}
    if tools:
        wishes["tools"] = [tool.declaration for tool in tools]
        wishes["parallel_tool_calls"] = False
        if tool_choice is not None:
            wishes["tool_choice"] = tool_choice
    if temperature is not None:
        wishes["temperature"] = temperature
    if json_schema is not None:
        name = str(json_schema.get("title", "answer"))
        wishes["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": name, "schema": dict(json_schema)},
        }
    return wishes


def _unwanted(failure: Failure, sent: Mapping[str, Any]) -> str | None:
    """Guess which field of the request a 400 is about."""
    if failure.refusal is None:
        return None
    if "response_format" in sent:
        return "response_format"
    if "tool_choice" in sent:
        return "tool_choice"
    return next(
        (name for name in ("parallel_tool_calls", "temperature") if name in sent and name in failure.refusal), None
    )


def _hear_chunk(chunk: BaseMessage, heard: _Heard) -> None:
    text = chunk.content if isinstance(chunk.content, str) else str(chunk.text)
    if text:
        heard.chars += len(text)
        heard.gate.feed(text)
    if isinstance(chunk, AIMessageChunk):
        for part in chunk.tool_call_chunks:
            index = part.get("index")
            slot = index if isinstance(index, int) else max(heard.calls, default=0)
            call = heard.calls.setdefault(slot, ["", "", ""])
            call[0] = call[0] or part.get("id") or ""
            call[1] = call[1] or part.get("name") or ""
            arguments = part.get("args") or ""
            call[2] += arguments
            heard.chars += len(arguments)
        if chunk.usage_metadata:
            counted = chunk.usage_metadata
            heard.usage = Usage(counted["input_tokens"], counted["output_tokens"], counted["total_tokens"])
    if heard.chars > MAX_REPLY_CHARS:
        raise unreadable("the reply is too long")
    heard.finish_reason = chunk.response_metadata.get("finish_reason") or heard.finish_reason
    heard.model = chunk.response_metadata.get("model_name") or heard.model


def _settle(heard: _Heard) -> tuple[str, tuple[WrittenCall, ...]]:
    """Decide what the reply is, now that all of it is there."""
    if heard.gate.held.lstrip().startswith(PROXY_ERROR):
        raise unreachable()
    heard.gate.close()
    text = heard.gate.text
    calls = [written_call(*parts) for _, parts in sorted(heard.calls.items())] + heard.gate.calls
    if not calls:
        if not text.strip():
            raise unreadable("an empty reply")
        return text, ()
    is_whole = heard.finish_reason == "length" and not heard.calls and heard.gate.ends_with_call
    if heard.finish_reason not in {"tool_calls", "stop", None} and not is_whole:
        raise unreadable(f"a call in a reply that ended with {heard.finish_reason}")
    if any(not call.name for call in calls):
        raise unreadable("a call without a name")
    if heard.finish_reason is None and any(call.arguments is None for call in calls):
        raise unreadable("a call that may be cut")
    return text, tuple(calls)


def _delay_s(retry: int) -> float:
    delay_s: float = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (retry - 1))
    return delay_s * random.uniform(1.0, 1.5)  # noqa: S311 jitter is no secret
