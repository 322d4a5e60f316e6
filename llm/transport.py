"""The way to an OpenAI-compatible server: one HTTP transport that makes every such server look alike to ChatOpenAI."""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

import httpx

from llm.failure import refused, too_slow, unreachable, unreadable
from llm.reply_body import ReplyBody

MAX_RETRY_AFTER_S = 60.0
"""A server that wishes a longer wait is asked again after this one (protocol S25)."""
_CONNECT_TIMEOUT_S = 10.0
_MAX_REFUSAL_BYTES = 64 * 1024
_MAX_STALE = 5
_KEPT_HEADERS = frozenset({"host", "content-type", "content-length", "connection"})


def base_url(proxy_url: str) -> str:
    """Complete the configured address to the one that `/chat/completions` is appended to."""
    address = proxy_url.rstrip("/")
    return address if address.endswith("/v1") else f"{address}/v1"


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine itself."""
    host = httpx.URL(url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def open_client(proxy_url: str, headers: Mapping[str, str], timeout_s: float) -> httpx.AsyncClient:
    """Open the client that all calls to `proxy_url` share; `headers` are the only ones that identify us.

    A connection must stand within 10 s; the limit of the whole attempt is the caller's business.
    The proxies of the environment are honoured for other machines, never for this one.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30)
    proxy = None if is_loopback(proxy_url) else _environment_proxy(httpx.URL(proxy_url))
    wire = httpx.AsyncHTTPTransport(limits=limits, proxy=proxy, trust_env=not is_loopback(proxy_url))
    timeout = httpx.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s))
    return httpx.AsyncClient(transport=EndpointTransport(wire, headers), timeout=timeout, trust_env=False)


class EndpointTransport(httpx.AsyncBaseTransport):
    """Send with our headers only; answer with clean events (`ReplyBody`) or raise `Failure`."""

    def __init__(self, wire: httpx.AsyncBaseTransport, headers: Mapping[str, str]) -> None:
        self._wire = wire
        self._headers = {
            "Accept": "text/event-stream, application/json",
            "User-Agent": "codelab-agent-runtime",
            **headers,
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. The SDK's own headers stay behind: they name the machine, and keys of the environment."""
        kept = {name: value for name, value in request.headers.items() if name in _KEPT_HEADERS}
        request.headers = httpx.Headers({**kept, **self._headers})
        try:
            response = await self._send(request)
            if response.status_code != 200:
                body = await _refusal(response)
                raise refused(response.status_code, body, _retry_after_s(response.headers.get("retry-after")))
        except httpx.TimeoutException as error:
            raise too_slow() from error
        except httpx.TransportError as error:
            raise unreachable() from error
        return httpx.Response(
            200,
            headers={"Content-Type": "text/event-stream"},
            stream=_CleanStream(response),
            extensions=response.extensions,
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Send; a kept connection that the server has closed meanwhile costs no attempt: the next one is taken."""
        for _ in range(_MAX_STALE):
            connected: list[str] = []

            async def trace(event: str, _: Any, connected: list[str] = connected) -> None:
                if event == "connection.connect_tcp.started":
                    connected.append(event)

            request.extensions = {**request.extensions, "trace": trace}
            try:
                return await self._wire.handle_async_request(request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if connected:
                    raise
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._wire.aclose()


class _CleanStream(httpx.AsyncByteStream):
    """The clean events of one reply. It may be entered twice: the SDK drains what remains after `[DONE]`."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._events = self._clean()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._events

    async def _clean(self) -> AsyncIterator[bytes]:
        body = ReplyBody()
        try:
            async for block in self._response.aiter_bytes():
                if events := body.feed(block):
                    yield events
        except httpx.RequestError as error:
            if body.is_done():  # a complete reply stays one, whatever becomes of the connection
                return
            if isinstance(error, httpx.TimeoutException):
                raise too_slow() from error
            if isinstance(error, httpx.DecodingError):
                raise unreadable("the body is not encoded as it says") from error
            raise unreachable() from error
        if events := body.end():
            yield events

    async def aclose(self) -> None:
        await self._response.aclose()


async def _refusal(response: httpx.Response) -> str:
    """Read the beginning of an error's body."""
    body = b""
    try:
        async for block in response.aiter_bytes():
            body += block
            if len(body) >= _MAX_REFUSAL_BYTES:
                break
    except httpx.DecodingError:
        body = b""
    finally:
        await response.aclose()
    return body.decode("utf-8", "replace")


def _retry_after_s(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    return min(wait_s, MAX_RETRY_AFTER_S) if wait_s >= 0 else 0.0


def _environment_proxy(url: httpx.URL) -> str | None:
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
