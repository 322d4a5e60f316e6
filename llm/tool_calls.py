"""Tool calls as a model wrote them: strict reading of their arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from json_text import parse_json


@dataclass(frozen=True)
class WrittenCall:
    """One tool call of a reply, exactly as the model wrote it."""

    id: str
    """The model's own id, "" when it gave none; it may repeat an earlier one (docs/protocol.md, Tools)."""
    name: str
    arguments: dict[str, Any] | None
    """The arguments when `raw` is one strict JSON object, else None."""
    raw: str
    """The arguments as text, before any reading."""
    problem: str | None
    """Why `raw` is not valid JSON, for the model to read, when `arguments` is None."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What the provider wrote beside the call; it may want it back."""


def written_call(call_id: str, name: str, raw: str) -> WrittenCall:
    """Read the arguments of one call strictly: a JSON object that can be kept, no key twice."""
    try:
        value = parse_json(raw, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return WrittenCall(call_id, name, None, raw, "a string holds half of a surrogate pair")
    except ValueError as error:
        return WrittenCall(call_id, name, None, raw, str(error))
    if not isinstance(value, dict):
        return WrittenCall(call_id, name, None, raw, "a JSON object is needed, with one key per argument")
    return WrittenCall(call_id, name, value, raw, None)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {json.dumps(key)} appears twice")
        value[key] = item
    return value
