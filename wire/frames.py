"""Chunks as the event log keeps them: only the fields that are set, restored in order for the stream."""

from __future__ import annotations

from typing import Any

from wire.protocol import Chunk

_FIELDS: dict[str, Any] = {
    name: field.default if name in ("is_final", "requires_approval") else None
    for name, field in Chunk.model_fields.items()
}


def pack(chunk: Chunk) -> dict[str, Any]:
    """Reduce a chunk to the fields that are set: the form of the event log."""
    fields = chunk.__dict__
    return {name: fields[name] for name, unused in _FIELDS.items() if fields[name] is not unused}


def unpack(packed: dict[str, Any]) -> dict[str, Any]:
    """Restore all fields of a packed chunk, in the order of the protocol."""
    return {name: packed.get(name, unused) for name, unused in _FIELDS.items()}
