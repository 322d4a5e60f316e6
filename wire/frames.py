"""Chunks as text: packed once for the event log, framed from it for each reader (docs/protocol.md, Transport)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from json_text import to_json
from wire.protocol import Chunk

_UNUSED: dict[str, Any] = {
    name: field.default if name in ("is_final", "requires_approval") else None
    for name, field in Chunk.model_fields.items()
}
_UNUSED_TEXT = {name: to_json(unused) for name, unused in _UNUSED.items()}
_BETWEEN = ",\n"
"""Between two fields of a packed chunk; a line break inside a JSON text is escaped, so it stands nowhere else."""
_DONE = '{"type":"done"'
_ONLY_VERSION_2 = {"retrying", "context_cut", "denied", "restarted", "resync"}


def pack(chunk: Chunk) -> str:
    """Write the fields of a chunk that are set as JSON, one field a line: the form of the event log."""
    fields = chunk.__dict__
    lines = [f'"{name}":{to_json(fields[name])}' for name, unused in _UNUSED.items() if fields[name] is not unused]
    return "{" + _BETWEEN.join(lines) + "}"


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Restore all fields of a packed chunk that was read, in the order of the protocol."""
    return {name: packed.get(name, unused) for name, unused in _UNUSED.items()}


def is_done(packed: str) -> bool:
    """Whether a packed chunk ends its request."""
    return packed.startswith(_DONE)


def frame(packed: str, version: int) -> str | None:
    """The data line of a chunk for a reader of that protocol version; None where that reader sees nothing."""
    fields = _fields(packed)
    shown = fields if version >= 2 else _as_version_1(fields)
    if shown is None:
        return None
    return "{" + ",".join(f'"{name}":{shown.get(name, unused)}' for name, unused in _UNUSED_TEXT.items()) + "}"


def _fields(packed: str) -> dict[str, str]:
    """The JSON text of each field that is set."""
    if _BETWEEN not in packed:  # a row of version 0.3.0
        return {name: to_json(value) for name, value in unpack(json.loads(packed)).items()}
    fields = {}
    for line in packed[1:-1].split(_BETWEEN):
        name, _, text = line.partition(":")
        fields[name[1:-1]] = text
    return fields


def _as_version_1(fields: dict[str, str]) -> dict[str, str] | None:
    """Project a chunk of the log for a version-1 reader; None where it sees nothing (docs/protocol.md, Versions)."""
    kind = json.loads(fields["type"])
    if kind == "done":
        return None
    if kind == "tool_call":
        return {**fields, "metadata": "null"}
    if kind not in ("assistant_message", "status"):
        return fields
    metadata = json.loads(fields.get("metadata", "null")) or {}
    if kind == "status":
        return None if metadata.get("status") in _ONLY_VERSION_2 else fields
    if fields.get("is_final") != "true" or metadata.get("before_tool_call"):
        return None
    return {**fields, "token": fields.get("content", "null")}
