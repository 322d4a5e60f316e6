"""The endpoint of a model and the HTTP connection to it; whatever fails in it becomes a `Failure`."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

import httpx

from llm.failure import Failure, refused, too_slow, unreachable, unreadable

MIN_KEY_CHARS = 4
"""A shorter header value is a part of ordinary words."""
IDLE_CONNECTIONS = 16
"""With more in all, one that is done is closed: httpcore polls each idle one for each request (half the CPU of 100)."""
_CONNECT_TIMEOUT_S = 10.0
_MAX_REFUSAL_BYTES = 64 * 1024
_BLOCK_BYTES = 16 * 1024
"""Between two blocks the rest of the process has its turn: thousands of small events fit into one."""
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_MAX_STALE = 5
_REST_S = 0.2


def completions_url(base: str) -> httpx.URL:
    """Complete the configured address: one with a path is taken as given, another one gets `/v1`."""
    url = httpx.URL(base)
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    return url.copy_with(path=f"{path or '/v1'}/chat/completions")


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine itself."""
    host = httpx.URL(url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class ModelServer:
    """The connection to one OpenAI-compatible server: sends with our headers only, answers with whole blocks.

    `headers` gives, for each request, the only ones that identify us. A connection must stand within 10 s, no silence
    may be longer than `idle_timeout_s`; the limit of the whole attempt is the caller's business. The proxies of the
    environment are honoured for other machines, never for this one.
    """

    def __init__(self, url: httpx.URL, headers: Callable[[], Mapping[str, str]], idle_timeout_s: float) -> None:
        self._url = url
        here = is_loopback(str(url))
        proxy = None if here else _environment_proxy(url)
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS, keepalive_expiry=30),
            proxy=proxy,
            verify=url.scheme == "https" or proxy is not None,  # certificates that nothing needs are not loaded
            trust_env=not here,
        )
        self._timeout = httpx.Timeout(idle_timeout_s, connect=min(_CONNECT_TIMEOUT_S, idle_timeout_s)).as_dict()
        self._headers = {
            "Host": url.netloc.decode("ascii"),
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "codelab-agent-runtime",
            "Connection": "keep-alive",
        }
        self._identity = headers

    @asynccontextmanager
    async def post(self, payload: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send one request; gives the blocks of the reply's body. Raises `Failure`."""
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        response: httpx.Response | None = None
        try:
            response = await self._send(body)
            if not response.is_success:
                said = _without_keys(await _refusal(response), self._identity())
                raise refused(response.status_code, said, _retry_after_s(response.headers))
            yield _bounded(response)
        except httpx.TimeoutException as error:
            raise too_slow() from error
        except httpx.TransportError as error:
            raise unreachable() from error
        finally:
            if response is not None:
                await response.aclose()

    async def _send(self, body: bytes) -> httpx.Response:
        """Send; a kept connection that the server has closed meanwhile costs no attempt: the next one is taken."""
        chosen = self._identity()
        names = {name.lower() for name in chosen}
        headers = {**{name: value for name, value in self._headers.items() if name.lower() not in names}, **chosen}
        for left in reversed(range(_MAX_STALE + 1)):
            connected: list[str] = []

            async def trace(event: str, _: Any, connected: list[str] = connected) -> None:
                if event == "connection.connect_tcp.started":
                    connected.append(event)

            extensions = {"timeout": self._timeout, "trace": trace}
            request = httpx.Request("POST", self._url, headers=headers, content=body, extensions=extensions)
            try:
                response = await self._transport.handle_async_request(request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if connected or not left:
                    raise
            else:
                response.request = request
                return response
        raise AssertionError("the last try returns or raises")

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


async def _bounded(response: httpx.Response) -> AsyncIterator[bytes]:
    """Give a reply in small blocks, decompressed no further than it is read; `llm.reply.body` limits the whole."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "deflate"):
        raise unreadable("the body is compressed in a way that was not asked for")
    inflate = None if encoding == "identity" else zlib.decompressobj(_ZLIB_OR_GZIP)
    async for raw in response.aiter_raw():  # with a size it would wait until so much has come
        for block in _divided(raw) if inflate is None else _inflated(inflate, raw):
            yield block
            await asyncio.sleep(0)  # a fast server leaves no other moment to the rest of the process


def _divided(raw: bytes) -> Iterator[bytes]:
    return (raw[start : start + _BLOCK_BYTES] for start in range(0, len(raw), _BLOCK_BYTES))


def _inflated(inflate: zlib._Decompress, raw: bytes) -> Iterator[bytes]:
    while raw:
        try:
            block = inflate.decompress(raw, _BLOCK_BYTES)
        except zlib.error as error:
            raise unreadable("the body is not encoded as it says") from error
        raw = inflate.unconsumed_tail
        if block:
            yield block


async def read_rest(blocks: AsyncIterator[bytes]) -> None:
    """Read what follows the end of a reply, so that the connection can be used again; a complete reply stays one."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_REST_S):
            async for _ in blocks:
                pass


async def _refusal(response: httpx.Response) -> str:
    """Read the beginning of an error's body."""
    body = b""
    try:
        async for block in _bounded(response):
            body += block
            if len(body) >= _MAX_REFUSAL_BYTES:
                break
    except Failure:
        body = b""
    finally:
        await response.aclose()
    return body.decode("utf-8", "replace")


def _without_keys(said: str, identity: Mapping[str, str]) -> str:
    """Take our own keys out of a server's words: they are logged and quoted to users."""
    for value in identity.values():
        key = value.rpartition(" ")[2]
        said = said.replace(key, "…") if len(key) >= MIN_KEY_CHARS else said
    return said


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Read `Retry-After`, seconds or a date, or OpenAI's `retry-after-ms`."""
    with suppress(ValueError):
        wait_s = float(headers.get("retry-after-ms", "")) / 1000
        if wait_s >= 0:
            return wait_s
    value = headers.get("retry-after")
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
    return wait_s if wait_s >= 0 else 0.0


def _environment_proxy(url: httpx.URL) -> str | None:
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
