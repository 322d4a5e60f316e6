"""Logging, configured once: every line has time, level and ids, and secrets are masked."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from errors import AgentRuntimeError

LogFormat = Literal["text", "json"]
OURS = ("agents", "api", "client", "console", "llm", "policy", "runs", "server", "serving", "storage")
"""Loggers that follow LOG_LEVEL; other libraries log from WARNING on, because some log whole request bodies."""
IDS = ("request", "session", "run", "call", "error_id")
MASK = "***"
_bound: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)|secret|token|api[-_]?key|auth|cookie|credential", re.IGNORECASE)
_NAMED_VALUE = re.compile(
    r"((?:[\w-]*(?:password|passwd|secret|token|api[-_]?key|authorization|internal-auth|cookie)[\w-]*)[\"']?\s*[:=]\s*"
    r"[\"']?(?:Bearer\s+|Basic\s+)?)[^\s\"',;&)}\]]+",
    re.IGNORECASE,
)
_KNOWN_FORMS = re.compile(
    r"(?<=Bearer )\S+|\bsk-[\w-]{8,}|\bgh[pousr]_\w{16,}|\bAKIA[0-9A-Z]{12,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
_SAFE_MESSAGES = (AgentRuntimeError, OSError, TimeoutError)
"""Exceptions whose text contains no user data; of others only class and source line are logged."""
_FRAMES = 8


@contextmanager
def bound(**fields: str | None) -> Iterator[None]:
    """Add fields to every line that this task, and tasks started by it, write meanwhile."""
    token = _bound.set({**_bound.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(
    level: str,
    form: LogFormat,
    secrets: Iterable[str] = (),
    handler: logging.Handler | None = None,
    fields: Mapping[str, Any] = MappingProxyType({}),
) -> logging.Handler:
    """Send every log line of the process to stderr, or to `handler`, with `fields`; `secrets` are masked everywhere."""
    handler = handler or logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter(secrets, fields) if form == "json" else TextFormatter(secrets, fields)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known.formatter, _Formatter)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in (*OURS, "uvicorn.error"):
        logging.getLogger(name).setLevel(level)
    return handler


def mask(secrets: Iterable[str]) -> None:
    """Mask further secrets from now on: keys that were rotated while the process runs."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Formatter):
            handler.formatter.mask(secrets)


class _Formatter(logging.Formatter):
    def __init__(self, secrets: Iterable[str] = (), fields: Mapping[str, Any] = MappingProxyType({})) -> None:
        super().__init__()
        self._fields = fields
        self._known: set[str] = set()
        self._secrets: re.Pattern[str] | None = None
        self.mask(secrets)

    def mask(self, secrets: Iterable[str]) -> None:
        """Add secrets to those that are masked."""
        self._known |= {secret for secret in secrets if len(secret) >= 3}
        longest_first = sorted(self._known, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """Mask configured secrets, credentials with a name or a known form, and passwords in URLs."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        text = _URL_PASSWORD.sub(rf"\g<1>{MASK}", text)
        text = _NAMED_VALUE.sub(rf"\g<1>{MASK}", text)
        return _KNOWN_FORMS.sub(MASK, text)

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the bound fields and those of `extra`, ids first, secrets masked."""
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        found = {**self._fields, **_bound.get(), **extra}
        ordered = {name: found[name] for name in ("action", *IDS) if found.get(name)}
        ordered |= {name: value for name, value in found.items() if name not in ordered and value is not None}
        if record.exc_info and record.exc_info[1] is not None:
            ordered["exception"] = describe(record.exc_info[1])
        return {name: self._field(name, value) for name, value in ordered.items()}

    def _field(self, name: str, value: Any) -> Any:
        if _SECRET_NAME.search(name):
            return MASK
        return value if isinstance(value, bool | int | float) else self.redact(str(value))


class TextFormatter(_Formatter):
    """`2026-11-21T15:20:01.123Z INFO runs.drive: run failed action=run_failed session=s1`, always one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields = " ".join(f"{name}={_shown(value)}" for name, value in self.fields_of(record).items())
        message = _one_line(self.redact(record.getMessage()))
        return f"{_time(record)} {record.levelname} {record.name}: {message} {fields}".rstrip()


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, message, and the fields under their own names."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        head = {"time": _time(record), "level": record.levelname, "logger": record.name}
        message = self.redact(record.getMessage())
        return json.dumps({**head, "message": message, **self.fields_of(record)}, ensure_ascii=False, default=str)


def describe(error: BaseException) -> str:
    """Describe an exception and its causes with their source lines; texts that could contain user data are left out."""
    told: list[str] = []
    current: BaseException | None = error
    while current is not None and len(told) < _FRAMES:
        kind = type(current).__qualname__
        state = getattr(current, "sqlstate", None)
        text = f": {current}" if isinstance(current, _SAFE_MESSAGES) else f" [{state}]" if state else ""
        frames = traceback.extract_tb(current.__traceback__)[-_FRAMES:]
        place = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        told.append(f"{kind}{text} at {place}" if place else f"{kind}{text}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "; caused by ".join(told)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)[1:-1]


def _shown(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() and not re.search(r'[\s="]', text) else json.dumps(text)
