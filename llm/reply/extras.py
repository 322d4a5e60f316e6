"""Extras: what a provider writes beside a message or a call, joined from its pieces to be returned to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

PROVIDER = "provider"
"""The key of a message's `additional_kwargs` that keeps a provider's extras, and the model that they belong to."""
_WRITTEN_IN_PIECES = frozenset(
    {"text", "thinking", "summary", "data", "signature", "content", "reasoning", "reasoning_content", "thought"}
)
_WHOLE = frozenset({"type", "id", "format", "index", "name", "role"})


def add_extras(extras: dict[str, Any], piece: Mapping[str, Any], known: Collection[str]) -> None:
    """Join into `extras` whatever of a delta is neither known nor empty."""
    for key, value in piece.items():
        if key not in known and value not in (None, "", [], {}):
            extras[key] = _joined(extras.get(key), value, key)


def kept_extras(model: str, message: Mapping[str, Any], calls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What an assistant message keeps of its provider, as `additional_kwargs`; `calls` are the extras by call id."""
    beside = {call_id: dict(extras) for call_id, extras in calls.items() if extras}
    return {PROVIDER: {"model": model, "message": dict(message), "calls": beside}} if message or beside else {}


def reasoning_of(extras: Mapping[str, Any]) -> str:
    """The thoughts that stand beside a reply, as text; "" when there are none."""
    return next((extras[key] for key in ("reasoning_content", "reasoning") if isinstance(extras.get(key), str)), "")


def _joined(before: Any, value: Any, key: str) -> Any:
    if isinstance(before, str) and isinstance(value, str):
        return before + value if key not in _WHOLE else value
    if isinstance(before, dict) and isinstance(value, dict):
        return before | {
            name: _joined(before.get(name), item, name) for name, item in value.items() if item is not None
        }
    if isinstance(value, list):
        items = list(before) if isinstance(before, list) else []
        for item in value:
            _add_item(items, item)
        return items
    return value


def _add_item(items: list[Any], item: Any) -> None:
    """Append a list's item, or join it to the one that it continues."""
    if isinstance(item, dict) and items and isinstance(items[-1], dict):
        last = items[-1]
        same_index = "index" in item and item["index"] == last.get("index")
        goes_on = "index" not in item and item.get("type") == last.get("type") and not last.get("signature")
        if (same_index or goes_on) and _WRITTEN_IN_PIECES & item.keys():
            items[-1] = _joined(last, item, "")
            return
    items.append(item)
