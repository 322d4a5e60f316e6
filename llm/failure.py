"""What can go wrong in one attempt to call a model, before it is known whether there will be another attempt."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from errors import ContextTooLong, ModelBadReply, ModelError, ModelTimeout, ModelUnavailable

_SENTENCES = {
    400: "The language model refused this request",
    401: "The language model refused the credentials of this server",
    402: "The language model's provider wants to be paid first",
    403: "The language model refused the credentials of this server",
    404: "The language model does not exist at the configured address",
    413: "The request is too large for the language model",
    422: "The language model refused this request",
    429: "The language model is busy. Please try again in a while",
}
_REDIRECTED = "The configured address of the language model has moved: configure the new one"
_MESSAGE_KEYS = ("error", "message", "detail", "msg", "errors", "error_description", "status_msg", "base_resp")
_ABOUT_CREDENTIALS = frozenset({401, 403})
_MAY_NAME_A_FIELD = frozenset({400, 404, 422, 500, 501})
_TOO_LONG = re.compile(
    r"exceed_context_size|context[_ ]length|context[_ ]?window|available context size|prompt exceeds max"
    r"|\b(prompt|inputs?|request|query|conversation)( \([^)]{0,60}\))?( is| are| was)? too (long|large for)"
    r"|too many (input |prompt )?tokens|reduce the (length|size) of (the|your) (message|prompt|input|conversation)"
    r"|\b(inputs?|prompt)[`'\"]* tokens?\b.{0,60}(exceed|must be|larger than|limit)|must have less than \d+ tokens"
    r"|maximum (\w+ )?(prompt|input|sequence) length|\b(input|sequence) length\b.{0,40}(exceed|should be|must be|limit)"
    r"|\b(request|prompt|input|messages)\b.{0,30}(exceed|larger than|longer than).{0,60}\b(tokens?|length)\b",
    re.DOTALL,
)
"""How servers say, in lower case, that a request does not fit the model's context."""
_WAIT = re.compile(
    r"(?:try again|retry|retry_?delay)(?:\\?\"?\s*:\s*\\?\"|\s+(?:in|after)\s+)"
    r"((?:\d{1,9}(?:\.\d{1,9})?\s?(?:ms|m(?:in(?:ute)?s?)?|h(?:ours?)?|s(?:ec(?:ond)?s?)?)(?![a-z])\s?){1,3})"
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
MAX_RETRY_AFTER_S = 60.0
"""A server that wishes a longer wait is asked again after this one (docs/scenarios.md S25)."""
_SAYS_WHEN = frozenset({429, 503, 529})
_MAX_SAID_CHARS = 16_000
_MAX_REASON_CHARS = 240
_ABOUT_CODE = re.compile(
    r"traceback|\bfile \"|\bline \d+, in\b|\.(?:py|go|rs|js|java)\b|<class|object at 0x|\bNoneType\b"
    r"|\w+(?:Error|Exception)\("
    r"|\b(?:psycopg|sqlite|postgres|sqlalchemy|pydantic|asyncio|starlette|fastapi|uvicorn|httpx|aiohttp|langchain|langgraph)",
    re.IGNORECASE,
)
"""Signs that a server shows its own insides: such a text is for the log alone."""
_UNWANTED = (
    (re.compile(r"\b(?:https?|wss?)://\S+"), ""),
    (re.compile(r"\b(?:[\w-]+\.)*\w*(?:Error|Exception)\b[:\s-]*"), ""),
    (re.compile(r"(?<![\w.])/(?:[\w.-]+/)+[\w.-]*"), ""),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), ""),
    (re.compile(r"\b(?:sk|pk|key|token|org|req|proj)[-_][\w*.-]{6,}|\b(?=\w*\d)[\w-]{24,}\b"), "…"),
    (re.compile(r"[\[{(][^\w]*[\]})]"), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s+([.,:;])"), r"\1"),
)
_log = logging.getLogger("llm.failure")


class Failure(Exception):
    """One failed attempt: the error to raise in the end, and what another attempt may hope for."""

    def __init__(
        self,
        error: ModelError,
        *,
        again: bool,
        retry_after_s: float | None = None,
        refusal: str | None = None,
        outage: bool | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        """Whether the same request may be sent once more (docs/scenarios.md S25)."""
        self.is_outage = again and error.details.get("status") != 429 if outage is None else outage
        """Whether the server could not be reached, failed or talked nonsense, rather than refused this request."""
        self.retry_after_s = retry_after_s
        self.refusal = refusal
        """The words of a refusal that may be about the form of the request, else None."""
        self.sent: dict[str, Any] | None = None
        """The request that was refused."""


def is_too_long(said: str) -> bool:
    """Whether an error's text says that the request does not fit the model's context."""
    return _TOO_LONG.search(said[:_MAX_SAID_CHARS].lower()) is not None


def wait_in(said: str) -> float | None:
    """The seconds after which a server's words ask for another attempt, such as `Please try again in 6m0.5s`."""
    found = _WAIT.search(said[:_MAX_SAID_CHARS].lower())
    if found is None:
        return None
    parts = re.findall(r"([\d.]+)\s?(ms|m|h|s)", found[1])
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def unreadable(what: str) -> Failure:
    """Say that the reply cannot be used; `what` is for the log, not for the user."""
    return Failure(ModelBadReply(None, reason=what), again=True)


def unreachable() -> Failure:
    """Say that the connection failed or broke."""
    return Failure(ModelUnavailable(), again=True)


def too_slow() -> Failure:
    """Say that the attempt, or the silence in it, took longer than it may."""
    return Failure(ModelTimeout(), again=True)


def refused(status: int, body: str, retry_after_s: float | None = None) -> Failure:
    """Translate an HTTP status (of the reply, or written in an error inside its body) into a failure."""
    _log.warning("model server refuses: %s", body, extra={"action": "model_refused", "status": status})
    if status in _SAYS_WHEN and retry_after_s is None:
        retry_after_s = wait_in(body)
    if retry_after_s is not None:
        retry_after_s = min(retry_after_s, MAX_RETRY_AFTER_S)
    said = body.lower()
    is_about_reply = "max_tokens" in said and "too large" in said
    if status in {400, 413, 422, 500} and is_too_long(said) and not is_about_reply:
        return Failure(ContextTooLong(None, status=status), again=False)
    if status == 408:
        return Failure(ModelTimeout(None, status=status), again=True, retry_after_s=retry_after_s)
    return Failure(
        ModelUnavailable(_sentence(status, body), status=status),
        again=(status == 429 and "insufficient_quota" not in said) or status >= 500,
        retry_after_s=retry_after_s,
        refusal=body if status in _MAY_NAME_A_FIELD else None,
    )


def _sentence(status: int, body: str) -> str | None:
    """One sentence for the user: ours, with the provider's reason where it gave one."""
    if 300 <= status < 400:
        return f"{_REDIRECTED}."
    ours = _SENTENCES.get(status, "The language model failed" if status >= 500 else _SENTENCES[400])
    reason = None if status in _ABOUT_CREDENTIALS else reason_in(body)
    if reason is None:
        return f"{ours}." if status in _SENTENCES else None
    return f"{ours}: {reason}"


def reason_in(body: str) -> str | None:
    """The provider's own reason as one sentence without addresses, paths, keys and exception names, or None."""
    try:
        text = message_in(json.loads(body))
    except (ValueError, RecursionError):
        text = body if len(body) < 2 * _MAX_REASON_CHARS and not body.lstrip().startswith(("<", "{", "[")) else ""
    for pattern, replacement in _UNWANTED:
        text = pattern.sub(replacement, text)
    if _ABOUT_CODE.search(text):
        return None
    text = text.strip(" -:;,.\"'{}[]")
    if len(text) > _MAX_REASON_CHARS:
        text = text[:_MAX_REASON_CHARS].rsplit(" ", 1)[0] + " …"
    return text if text.endswith("?") else f"{text}." if re.search(r"[^\W\d_]{2}", text) else None


def message_in(value: Any) -> str:
    """Find the message in the shapes that servers give their errors; the innermost provider's words win."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [message_in(item) for item in value[:3]]
        return "; ".join(part for part in parts if part)
    if not isinstance(value, dict):
        return ""
    raw = value["metadata"].get("raw") if isinstance(value.get("metadata"), dict) else None
    if isinstance(raw, str) and raw.strip():
        try:
            return message_in(json.loads(raw)) or raw
        except (ValueError, RecursionError):
            return raw
    if isinstance(value.get("loc"), list) and isinstance(value.get("msg"), str):
        return f"{'.'.join(str(part) for part in value['loc'])}: {value['msg']}"
    return next((found for key in _MESSAGE_KEYS if (found := message_in(value.get(key)))), "")
