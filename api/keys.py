"""The keys of clients and of the model server; those that stand in files change without a restart."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import logs
from errors import ConfigurationError
from llm.chat_model import ModelKeys
from settings import DEFAULT_KEY, PREFIX, Settings, read_keys

CHECK_EVERY_S = 1.0
"""How often the process looks whether a key file has changed; on SIGHUP it looks at once."""
Content = TypeVar("Content")
_log = logging.getLogger("api.keys")


class KeyFile(Generic[Content]):
    """The content of a file, read again when the file has changed.

    Raises ConfigurationError when it cannot be read at the start; later what was read last stays valid.
    """

    def __init__(self, path: Path, name: str, read: Callable[[str], Content]) -> None:
        self._path = path
        self._name = name
        self._read = read
        self._seen: tuple[int, int, int] | None = None
        self.content = self._load()

    def refresh(self) -> None:
        """Read the file if it is not the one that was read last."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        fields = {"setting": self._name}
        try:
            self.content = self._load()
        except ConfigurationError as error:
            self._seen = stamp
            _log.error("keys stay as they were: %s", error.message, extra={"action": "keys_kept", **fields})
        else:
            _log.info("keys read again", extra={"action": "keys_read", **fields})

    def _load(self) -> Content:
        self._seen = self._stamp()
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"{self._name} is not usable: {self._path}: {reason}.") from error
        return self._read(text)

    def _stamp(self) -> tuple[int, int, int] | None:
        """What changes with the file; None while it is away."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


class Keys:
    """Which keys are accepted, and which go out to the model server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        accepted, outgoing = settings.internal_api_key_file, settings.llm_api_key_file
        _refuse_both(settings.internal_api_key, accepted, "INTERNAL_API_KEY")
        _refuse_both(settings.llm_api_key, outgoing, "LLM_API_KEY")
        if settings.webhook_url is not None and settings.webhook_secret is None:
            raise ConfigurationError(f"{PREFIX}WEBHOOK_URL needs {PREFIX}WEBHOOK_SECRET: webhooks are signed.")
        self._accepted = KeyFile(accepted, f"{PREFIX}INTERNAL_API_KEY_FILE", self._read_accepted) if accepted else None
        self._outgoing = KeyFile(outgoing, f"{PREFIX}LLM_API_KEY_FILE", _read_one) if outgoing else None
        if self._accepted is None:
            self._check(settings.principals, "INTERNAL_API_KEY")
        self.accepted: Mapping[str, str] = settings.principals
        """The keys that clients may send, and the principal of each."""
        self.outgoing = ModelKeys(settings.llm_api_key, settings.first_key)
        self._take()
        if not self.accepted:
            self.accepted = {_new_key(): ""}

    def refresh(self) -> None:
        """Read the key files that have changed."""
        for file in (self._accepted, self._outgoing):
            if file is not None:
                file.refresh()
        self._take()

    def _take(self) -> None:
        """Let what the files hold be valid."""
        if self._accepted is not None:
            self.accepted = self._accepted.content
            self.outgoing.internal_key = next(iter(self.accepted))
        if self._outgoing is not None:
            self.outgoing.api_key = self._outgoing.content

    @asynccontextmanager
    async def refreshed(self) -> AsyncIterator[None]:
        """Look whether the key files have changed, every CHECK_EVERY_S and on SIGHUP."""
        if not (self._accepted or self._outgoing):
            yield
            return
        watching = asyncio.create_task(self._watch(), name="watch the key files")
        try:
            with self.refreshed_by_signal():
                yield
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.refresh()

    @contextmanager
    def refreshed_by_signal(self) -> Iterator[None]:
        """Read the files again on SIGHUP; without a file the signal keeps its meaning."""
        number: signal.Signals | None = getattr(signal, "SIGHUP", None)
        is_main = threading.current_thread() is threading.main_thread()
        if number is None or not is_main or not (self._accepted or self._outgoing):
            yield
            return
        before = signal.signal(number, lambda *_: self.refresh())
        try:
            yield
        finally:
            signal.signal(number, before)

    def _read_accepted(self, text: str) -> dict[str, str]:
        name = "INTERNAL_API_KEY_FILE"
        keys = read_keys(text, PREFIX + name)
        if not keys:
            raise ConfigurationError(f"{PREFIX}{name} is not usable: the file holds no key.")
        self._check(keys, name)
        logs.mask(keys)
        return keys

    def _check(self, keys: dict[str, str], name: str) -> None:
        """Refuse an address that others reach with the published key or with none."""
        host = self._settings.host
        if self._settings.is_loopback:
            return
        if not keys:
            raise ConfigurationError(
                f"{PREFIX}{name} is not set and {PREFIX}HOST is {host}: set a key of your own, or bind 127.0.0.1."
            )
        if DEFAULT_KEY in keys:
            raise ConfigurationError(
                f"{PREFIX}{name} is the published default and {PREFIX}HOST is {host}: "
                "set a key of your own, or bind 127.0.0.1."
            )


def _read_one(text: str) -> str:
    keys = read_keys(text, f"{PREFIX}LLM_API_KEY_FILE")
    if len(keys) != 1 or text.strip() not in keys:
        raise ConfigurationError(f"{PREFIX}LLM_API_KEY_FILE is not usable: the file must hold one key only.")
    logs.mask(keys)
    return text.strip()


def _refuse_both(value: str | None, file: Path | None, name: str) -> None:
    if value is not None and file is not None:
        raise ConfigurationError(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: set one of them.")


def _new_key() -> str:
    """Make the key of a server without a configured one, which accepts local connections only; it is printed once."""
    key = secrets.token_urlsafe(24)
    print(f"No {PREFIX}INTERNAL_API_KEY is set; this process accepts X-Internal-Auth: {key}", flush=True)
    return key
