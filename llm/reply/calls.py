"""The tool calls of a reply, gathered from their pieces: which call a piece belongs to, and where the next begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.failure import unreadable

_CALL_CHARS = 2048
"""What a call counts besides what it holds: a thousand calls are the most."""
_MAX_PARSED_CHARS = 4 * 1024 * 1024
"""Of arguments that are read to see whether a call is over, in one reply."""
_READ_OF_CALL = frozenset({"id", "type", "index", "function", "custom", "name", "arguments", "parameters", "input"})
_READ_OF_FUNCTION = frozenset({"name", "arguments", "parameters", "input"})
_ARGUMENTS = ("arguments", "parameters", "input")

Keep = Callable[[dict[str, Any], Mapping[str, Any], frozenset[str]], None]


@dataclass
class CallParts:
    """One tool call as it was sent: its pieces joined, and whatever else stands beside it."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    members: dict[str, Any] | None = None
    """The arguments that were sent as objects instead of text."""
    extras: dict[str, Any] = field(default_factory=dict)

    def raw_arguments(self) -> str:
        """The arguments as one text."""
        if not self.members:
            return self.arguments if self.members is None or self.arguments.strip() else "{}"
        return self.arguments + json.dumps(self.members, ensure_ascii=False)


@dataclass
class CallPieces:
    """The calls of one reply. `count` limits what is kept of it; `keep` joins what stands beside a call."""

    count: Callable[[int], None]
    keep: Keep
    calls: list[CallParts] = field(default_factory=list)
    _slots: dict[int, CallParts] = field(default_factory=dict)
    _parsed: int = 0

    def take(self, written: Any) -> None:
        """Take one piece of a call; raises `Failure` when it is none."""
        if not isinstance(written, dict):
            raise unreadable("a tool call is not an object")
        function = next((written[key] for key in ("function", "custom") if isinstance(written.get(key), dict)), written)
        call_id, name = _text(written.get("id")), _text(function.get("name"))
        arguments = next((function[key] for key in _ARGUMENTS if function.get(key) is not None), None)
        index = _index(written.get("index"))
        call = self._addressed(index, call_id)
        if call is None or self._is_next(call, index, call_id, name, has_arguments=bool(arguments)):
            self.count(_CALL_CHARS)
            call = CallParts()
            self.calls.append(call)
            if index is not None:
                self._slots[index] = call
        call.id = call.id or call_id
        if name != call.name:
            self.count(len(name))
            call.name += name
        if isinstance(arguments, dict):
            self.count(len(json.dumps(arguments, ensure_ascii=False)))
            call.members = {**(call.members or {}), **arguments}
        elif arguments is not None:
            said = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            self.count(len(said))
            call.arguments += said
        self.keep(call.extras, written, _READ_OF_CALL)
        if function is not written:
            self.keep(call.extras, function, _READ_OF_FUNCTION)

    def _addressed(self, index: int | None, call_id: str) -> CallParts | None:
        """The call that a piece continues, if it continues one: by its index, by its id, or the last."""
        if index is not None:
            return self._slots.get(index)
        same = next((call for call in reversed(self.calls) if call_id and call.id == call_id), None)
        return same or (self.calls[-1] if self.calls else None)

    def _is_next(self, call: CallParts, index: int | None, call_id: str, name: str, *, has_arguments: bool) -> bool:
        """Whether a piece that is addressed like `call` begins another call: servers number calls alike, or not at all.

        A piece without a name never does. One with a name does behind arguments that are whole, behind those of another
        tool, and where it has another id, unless it goes on with arguments that are cut.
        """
        if not name:
            return False
        has_other_id = bool(call_id and call.id and call_id != call.id)
        if not call.arguments.strip() and call.members is None:
            return has_other_id or (index is None and not (call_id and call_id == call.id))
        if call_id and call_id == call.id and index is not None:
            return False
        if name != call.name:
            return bool(call.name) or has_other_id
        if self._is_whole(call):
            return has_arguments or has_other_id
        return index is None and (has_other_id or not call_id)

    def _is_whole(self, call: CallParts) -> bool:
        text = call.arguments.strip()
        if call.members is not None and not text:
            return True
        self._parsed += len(text) if text.endswith("}") else 0
        if not text.endswith("}") or self._parsed > _MAX_PARSED_CHARS:
            return False
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return False
        return True


def _index(value: object) -> int | None:
    """The number of a call, which some servers write as a text."""
    if isinstance(value, str) and value.isdecimal() and len(value) < len("1000000"):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
