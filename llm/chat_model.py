"""The chat model client: ask it, stream its text, read its calls, and ask again where that is safe."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from errors import ConfigurationError
from llm.breaker import Breaker
from llm.failure import Failure, too_slow
from llm.reply.text import CLOSED_UNOPENED, ReplyText, Thoughts
from llm.request.fields import Negotiation
from llm.tool_calls import WrittenCall
from settings import Settings
from tools.tool import Tool

if TYPE_CHECKING:  # an idle process has no use for LangChain
    from langchain_core.messages import BaseMessage

    from llm.streaming import Incoming, Reply, StreamingModel
    from llm.transport import ModelServer

__all__ = [
    "ALLOW_REMOTE_MODELS",
    "BUILT_IN_MODEL",
    "Endpoint",
    "ModelKeys",
    "Models",
    "Retry",
    "WrittenCall",
]

ALLOW_REMOTE_MODELS = True
"""Tests set this to False: then a model on another machine is refused before any connection."""

BUILT_IN_MODEL = "fake-llm"
"""The model name that stands for `ScriptedModel`: no network."""

FIRST_DELAY_S = 0.5
FIRST_BUSY_DELAY_S = 4.0
"""The first wait after a 429 that names none."""
LONGEST_DELAY_S = 8.0
LONGEST_BUSY_DELAY_S = 60.0

_log = logging.getLogger(__name__)


@dataclass
class ModelKeys:
    """The keys of a model server; they may change while the process runs."""

    api_key: str | None = None
    internal_key: str | None = None
    """Sent as `X-Internal-Auth` when there is no `api_key`."""


@dataclass(frozen=True)
class Endpoint:
    """Where the model is and how it is asked (docs/settings.md)."""

    proxy_url: str = "http://localhost:8002"
    keys: ModelKeys = field(default_factory=ModelKeys)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent besides, and instead of ours where the names are equal."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float = 360
    """The limit of one attempt as a whole."""
    idle_timeout_s: float = 180
    """The longest silence within one attempt."""

    @classmethod
    def of(cls, settings: Settings, keys: ModelKeys | None = None) -> Endpoint:
        """Return the endpoint that the settings describe, with other `keys` than theirs where these may change."""
        return cls(
            proxy_url=settings.llm_proxy_url,
            keys=keys or ModelKeys(settings.llm_api_key, settings.first_key),
            headers=settings.llm_headers,
            extra_body=settings.llm_extra_body,
            temperature=settings.llm_temperature,
            max_tokens=settings.llm_max_tokens,
            timeout_s=settings.llm_timeout_seconds,
            idle_timeout_s=settings.llm_idle_timeout_seconds,
        )

    def request_headers(self) -> dict[str, str]:
        """The headers that identify this server to the model's."""
        ours: dict[str, str] = {}
        if self.keys.api_key:
            ours["Authorization"] = f"Bearer {self.keys.api_key}"
        elif self.keys.internal_key:
            ours["X-Internal-Auth"] = self.keys.internal_key
        chosen = {name.lower() for name in self.headers}
        return {**{name: value for name, value in ours.items() if name.lower() not in chosen}, **self.headers}


@dataclass(frozen=True)
class Retry:
    """An attempt failed and another one follows."""

    attempt: int
    """The number of the attempt to come, from 2 on."""
    max_attempts: int
    delay_s: float
    """The wait before it."""
    code: str
    """The wire code of the failure (docs/protocol.md, Error codes)."""


class Models:
    """The configured chat model, for any number of calls at once in one event loop.

    What its server refuses of a request is left out from then on, while the process lives.
    """

    def __init__(
        self,
        *,
        model: str = BUILT_IN_MODEL,
        endpoint: Endpoint | None = None,
        max_retries: int = 2,
        breaker: Breaker | None = None,
        fallback: Models | None = None,
    ) -> None:
        self.name = model
        """The configured name of the model."""
        self.counts: Counter[tuple[str, str]] = Counter()
        """What happened to this model's requests and replies, by kind and name: `change`, `repair`, `tokens`."""
        self.breaker = breaker or Breaker()
        """Leaves the endpoint alone after failures in a row."""
        self.fallback = fallback
        """Asked instead when this endpoint fails before any text was shown."""
        self._endpoint = endpoint or Endpoint()
        self.max_attempts = 1 + max(0, max_retries)
        """How many requests are sent for one reply at most, changes of their form not counted."""
        self._server: ModelServer | None = None
        self._client: StreamingModel | None = None
        self._opening = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None
        self._changes: set[str] = set()
        self._may_lack_tools = False
        self._begins_inside = False  # the template of the server opens the thoughts of its replies

    async def open(self) -> None:
        """Import and build the client ahead of the first call: that costs about a second of CPU, in a thread."""
        async with self._opening:
            if self._client is None:
                self._client = await self._make_client()

    def warm(self) -> None:
        """Open in the background, once: whoever has made a first request will soon send a message."""
        if self._warming is None and self._client is None:
            self._warming = asyncio.create_task(self.open(), name="open the chat model client")

    async def aclose(self) -> None:
        """Close all connections; a later call opens them again."""
        warming, self._warming = self._warming, None
        if warming is not None:
            warming.cancel()
            with suppress(asyncio.CancelledError):
                await warming
        server, self._server, self._client = self._server, None, None
        if server is not None:
            await server.aclose()
        if self.fallback is not None:
            await self.fallback.aclose()

    async def reply(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool] = (),
        temperature: float | None = None,
        json_schema: Mapping[str, Any] | None = None,
        tool_choice: Literal["auto", "required", "none"] | None = None,
        several_calls: bool = False,
        text_calls: bool = True,
        may_be_empty: bool = False,
        on_text: Callable[[str], None] | None = None,
        on_retry: Callable[[Retry], None] | None = None,
        before_attempt: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply:
        """Ask the model, again after a failure that allows it (docs/scenarios.md S25), never after text was shown.

        What the server refuses of the request's form is changed at once and remembered (`llm/request/fields.py`).
        `several_calls`: whether the model may make more than one call. `text_calls`: whether a call at the end of the
        text counts. `may_be_empty`: whether an empty reply is one.
        `on_text` gets text as it comes, `on_retry` speaks before each wait; what `before_attempt` raises ends the call.
        Raises ModelUnavailable, ModelTimeout or ModelBadReply; ConfigurationError when remote models are forbidden.
        """
        from llm.streaming import Incoming  # with LangChain; an idle process does without

        started = time.perf_counter()
        if not (ALLOW_REMOTE_MODELS or self.name == BUILT_IN_MODEL or _is_loopback(self._endpoint.proxy_url)):
            raise ConfigurationError("Models on other machines are forbidden here: use fake-llm or a local address.")
        if self._client is None:
            await self.open()
        names = [tool.name for tool in tools]
        options = self._options(tools, temperature, json_schema, tool_choice, several_calls=several_calls)
        changes = Negotiation({*self._changes})
        attempts = retries = 0
        while True:
            attempts += 1
            if before_attempt is not None:
                await before_attempt()
            text = ReplyText(names, on_text, text_calls=text_calls)
            incoming = Incoming(text, Thoughts(inside=self._begins_inside))
            try:
                with self.breaker.attempt():
                    try:
                        async with asyncio.timeout(self._endpoint.timeout_s):
                            await self._listen(messages, options, changes.names, incoming)
                    except TimeoutError as error:
                        raise too_slow() from error
                    reply = incoming.settle(tools, may_be_empty=may_be_empty)
            except Failure as failure:
                change = None if text.is_shown else changes.learn(failure)
                if change is not None:
                    _log.info("request is changed", extra={"action": "model_request_changed", "change": change})
                    continue
                failure = changes.cause or failure
                retries += 1
                may_retry = failure.again and not text.is_shown and not self.breaker.wait_s
                if not may_retry or retries >= self.max_attempts:
                    failure.error.details["attempts"] = attempts
                    failure.error.details["retry_after_s"] = max(self.breaker.wait_s, failure.retry_after_s or 0.0)
                    if self.fallback is None or not failure.is_outage or text.is_shown:
                        raise failure.error from failure
                    code = failure.error.code
                    _log.warning("the fallback model is asked", extra={"action": "model_fallback", "code": code})
                    if on_retry is not None:
                        on_retry(Retry(attempts + 1, attempts + self.fallback.max_attempts, 0.0, code))
                    instead = await self.fallback.reply(
                        messages,
                        tools=tools,
                        temperature=temperature,
                        json_schema=json_schema,
                        tool_choice=tool_choice,
                        several_calls=several_calls,
                        text_calls=text_calls,
                        may_be_empty=may_be_empty,
                        on_text=on_text,
                        on_retry=on_retry,
                        before_attempt=before_attempt,
                    )
                    return _foreign(instead)
                await self._wait(failure, attempts, retries, on_retry)
            else:
                if changes.named or changes.guessed:
                    self._remember_changes(changes)
                self._remember(incoming, reply)
                took_ms = round((time.perf_counter() - started) * 1000)
                return replace(reply, model=reply.model or self.name, duration_ms=took_ms, attempts=attempts)

    async def _wait(
        self, failure: Failure, attempts: int, retries: int, on_retry: Callable[[Retry], None] | None
    ) -> None:
        status = failure.error.details.get("status")
        delay_s = _delay_s(retries, is_busy=status == 429) if failure.retry_after_s is None else failure.retry_after_s
        code = failure.error.code
        reason = failure.error.details.get("reason", status or "no answer")
        fields = {"action": "model_retry", "code": code, "attempt": attempts}
        _log.warning("model call fails and is tried again: %s, %s", code, reason, extra=fields)
        if on_retry is not None:
            on_retry(Retry(retries + 1, self.max_attempts, delay_s, code))
        await asyncio.sleep(delay_s)

    async def _listen(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any], changes: Collection[str], incoming: Incoming
    ) -> None:
        """Stream one reply into `incoming`."""
        assert self._client is not None
        if self.name != BUILT_IN_MODEL:
            options = {**options, "changes": tuple(changes)}
        async with aclosing(self._client.stream_reply(list(messages), **options)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                incoming.take(piece)
                if incoming.text.is_blank:
                    return

    def _remember_changes(self, changes: Negotiation) -> None:
        """Keep what refusals taught about the server."""
        learnt = changes.learnt
        if changes.guessed[-1:] == ["no_tools"]:  # one request is not enough to do without tools for good
            learnt |= {"no_tools"} if self._may_lack_tools else set()
            self._may_lack_tools = True
        for name in learnt - self._changes:
            self._changes.add(name)
            self.counts["change", name] += 1

    def _remember(self, incoming: Incoming, reply: Reply) -> None:
        """Keep what this reply taught about the model."""
        self.counts.update(("repair", name) for name in reply.repairs)
        if reply.calls_were_text:
            self.counts["repair", "text_call"] += 1
        if reply.usage is not None:
            self.counts["tokens", "prompt"] += reply.usage.prompt_tokens
            self.counts["tokens", "cached"] += reply.usage.cached_tokens or 0
        if CLOSED_UNOPENED.match(incoming.text.text):
            self._begins_inside = True

    def _options(
        self,
        tools: Sequence[Tool],
        temperature: float | None,
        json_schema: Mapping[str, Any] | None,
        tool_choice: str | None,
        *,
        several_calls: bool,
    ) -> dict[str, Any]:
        """Collect the optional fields of the request (docs/models.md)."""
        options: dict[str, Any] = {}
        if tools:
            options["tools"] = [tool.declaration for tool in tools]
            if not several_calls:
                options["parallel_tool_calls"] = False
            if tool_choice is not None:
                options["tool_choice"] = tool_choice
        temperature = self._endpoint.temperature if temperature is None else temperature
        if temperature is not None:
            options["temperature"] = temperature
        if json_schema is not None:
            schema = {"name": str(json_schema.get("title", "answer")), "schema": dict(json_schema)}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self._endpoint.max_tokens is not None:
            options["max_tokens"] = self._endpoint.max_tokens
        if self._endpoint.extra_body:
            options["extra_body"] = dict(self._endpoint.extra_body)
        return options

    async def _make_client(self) -> StreamingModel:
        if self.name == BUILT_IN_MODEL:
            from llm.scripted import ScriptedModel

            return ScriptedModel()
        client, self._server = await asyncio.to_thread(_endpoint_chat, self.name, self._endpoint)
        return client


def _endpoint_chat(model: str, place: Endpoint) -> tuple[StreamingModel, ModelServer]:
    """Import langchain_openai, which takes about a second of CPU, and make the client and its connection."""
    from llm.client import EndpointChat
    from llm.transport import ModelServer, completions_url

    server = ModelServer(completions_url(place.proxy_url), place.request_headers, place.idle_timeout_s)
    return EndpointChat(model=model, server=server), server


def _is_loopback(url: str) -> bool:
    from llm.transport import is_loopback

    return is_loopback(url)


def _foreign(reply: Reply) -> Reply:
    """Drop what a provider wrote beside a reply: it would be returned to another model's server."""
    return replace(reply, extras={}, calls=tuple(replace(call, extras={}) for call in reply.calls))


def _delay_s(retry: int, *, is_busy: bool) -> float:
    first, longest = (FIRST_BUSY_DELAY_S, LONGEST_BUSY_DELAY_S) if is_busy else (FIRST_DELAY_S, LONGEST_DELAY_S)
    delay_s: float = min(longest, first * 2.0 ** (retry - 1))
    return delay_s * random.uniform(1.0, 1.5)  # noqa: S311 jitter is no secret
