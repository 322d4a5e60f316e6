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
from urllib.parse import quote

from errors import AgentRuntimeError

LogFormat = Literal["text", "json"]
OURS = ("agents", "api", "client", "console", "llm", "policy", "runs", "server", "serving", "storage")
"""Loggers that follow LOG_LEVEL; other libraries log from WARNING on, because some log whole request bodies."""
IDS = ("request", "session", "run", "call", "error_id")
MASK = "***"
_bound: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|(api|private)[-_]?key|auth|cookie|credential", re.IGNORECASE
)
# Every repetition below is bounded or takes what it passes: texts of other servers are logged, whatever they hold.
_NAMES = r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credential|signature|(?:api|private|access)[-_ ]?key)"
_SEPARATOR = (
    r"(?:[\\\"'\])]{0,8}(?: (?:provided|given))?\s{0,8}(?:[:=]>?|%3[ad])\s{0,8}|[\\]{0,4}[\"'],\s?(?=b?[\\\"']))"
)
_QUOTED = r"b?\"(?:\\.|[^\"\\])*|b?'(?:\\.|[^'\\])*|b?(?P<quote>\\{1,8}[\"'])(?:(?!(?P=quote)).)*"
_NAMED_VALUE = re.compile(
    rf"({_NAMES}[\w-]{{0,32}}{_SEPARATOR})({_QUOTED}|(?:Bearer\s+|Basic\s+)?[^\s\"',;&)}}\]]+)",
    re.IGNORECASE | re.DOTALL,
)
_HEADER_VALUE = re.compile(
    rf"((?:authorization|internal-auth|cookie)[\w-]{{0,16}}{_SEPARATOR})({_QUOTED}|[^\r\n]+)",
    re.IGNORECASE | re.DOTALL,
)
_OPENING = re.compile(r"b?\\{0,8}[\"']|")
_FLAG_OR_QUERY = re.compile(
    rf"(--(?:[a-z]{{1,12}}-){{0,2}}{_NAMES}\s{{1,4}}|[?&;](?:key|sig|auth|code|hash)=)[^\s&#\"']+", re.IGNORECASE
)
_KNOWN_FORMS = re.compile(
    r"(?<=[Bb]earer )\S+|\bBasic (?=[A-Za-z+/]{0,40}[0-9=])[A-Za-z0-9+/]{8,}={0,2}"
    r"|\bsk-[\w-]{8,}|\b[spr]k_(?:live|test)_\w{8,}"
    r"|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{8,}|\bglpat-[\w-]{8,}|\bxox[a-z]-[\w-]{8,}|\bA[KS]IA[0-9A-Z]{12,}|\bAIza[\w-]{20,}"
    r"|\b(?:hf|npm)_\w{16,}|\bwhsec_[\w+/=]{8,}|\beyJ[\w-]{8,500}\.[\w-]{1,4000}\.[\w-]{0,1000}"
    r"|(?<=PRIVATE KEY-----)(?:(?!-----END).)+",
    re.DOTALL,
)
_ADDRESS = re.compile(r"://((?:(?!://)[^\s\"'<>])+)")
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
        for secret in (secret for secret in secrets if len(secret) >= 3):
            self._known |= {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
        longest_first = sorted(self._known, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """Mask configured secrets, credentials with a name or a known form, and passwords in URLs."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        text = _ADDRESS.sub(_without_password, text)
        text = _HEADER_VALUE.sub(_without_value, text)
        text = _NAMED_VALUE.sub(_without_value, text)
        text = _FLAG_OR_QUERY.sub(rf"\g<1>{MASK}", text)
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


def _without_value(found: re.Match[str]) -> str:
    """Mask a value and keep its name and opening quote."""
    opening = _OPENING.match(found[2])
    return f"{found[1]}{opening[0] if opening else ''}{MASK}"


def _without_password(found: re.Match[str]) -> str:
    """Mask the password of a URL, or the user where it has none; both may hold `/` and `@`, which URLs do not allow."""
    authority, slash, _ = found[1].partition("/")
    user, colon, password = authority.partition(":")
    if "@" not in authority and not (slash and colon and "@" in found[1] and not password.isdecimal()):
        return found[0]
    userinfo, _, rest = (authority if "@" in authority else found[1]).rpartition("@")
    behind = found[1][len(authority) :] if "@" in authority else ""
    shown = f"{user}:" if ":" in userinfo else ""
    return f"://{shown}{MASK}@{rest}{behind}"


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)[1:-1]


def _shown(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() and not re.search(r'[\s="]', text) else json.dumps(text)
