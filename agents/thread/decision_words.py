"""The words by which a plain message decides (docs/scenarios.md S24)."""

from __future__ import annotations

from typing import Literal

_APPROVE = frozenset(["approve", "approved", "yes", "ok", "go", "proceed", "да", "ок", "одобряю", "подтверждаю"])
_REJECT = frozenset(["reject", "no", "cancel", "нет", "отмена", "отклонить"])


def decision_word(text: str) -> Literal["approve", "reject"] | None:
    """Read a message as a decision when it is exactly one of the words; a final `.` or `!` is dropped."""
    word = text.strip().lower()
    word = word[:-1].rstrip() if word.endswith((".", "!")) else word
    if word in _APPROVE:
        return "approve"
    return "reject" if word in _REJECT else None
