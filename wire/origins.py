"""Where an error comes from, and when a client may try again (docs/protocol.md, error codes)."""

from __future__ import annotations

import math
from typing import Any, Literal

Origin = Literal["llm", "ide", "policy", "server"]
ORIGINS: dict[str, Origin] = {
    "bad_request": "ide",
    "session_unknown": "ide",
    "session_exists": "ide",
    "session_busy": "server",
    "agent_unknown": "ide",
    "call_unknown": "ide",
    "approval_unknown": "ide",
    "rule_unknown": "ide",
    "call_settled": "ide",
    "approval_required": "policy",
    "approval_not_required": "ide",
    "digest_mismatch": "ide",
    "decision_invalid": "policy",
    "approval_expired": "policy",
    "tool_denied": "policy",
    "file_denied": "policy",
    "llm_unavailable": "llm",
    "llm_timeout": "llm",
    "llm_bad_reply": "llm",
    "limit_reached": "server",
    "cancelled": "ide",
    "not_found": "ide",
    "not_ready": "server",
    "internal": "server",
}
"""`llm`: the model or its server; `ide`: the client; `policy`: a rule or a missing approval; `server`: this runtime."""
RETRY_AFTER_S = 1
"""The wait before the next try where nothing else is known."""


def cause(code: str, *, retryable: bool, retry_after_s: float | None = None) -> dict[str, Any]:
    """Return the metadata that every error carries: code, origin, whether to try again, and after how many seconds."""
    told: dict[str, Any] = {"code": code, "origin": ORIGINS[code], "retryable": retryable}
    if retryable:
        told["retry_after_seconds"] = max(RETRY_AFTER_S, math.ceil(retry_after_s or 0))
    return told
