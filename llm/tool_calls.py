"""Tool calls as a model wrote them: strict reading of their arguments, and calls written into the text of a reply."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

ELEMENT_BEGIN = "<function name="
_ELEMENT = re.compile(
    r"""<function\s+name=["'](\w+)["']\s+arguments=(["'])(.*?)\2\s*(?:/>|>\s*</function>)""", re.DOTALL
)
CALL_HEAD = re.compile(
    r'\{\s*"(?:name|tool|tool_name|function)"\s*:\s*"(\w+)"\s*,\s*"(?:arguments|args|parameters)"\s*:\s*[{"]'
)
"""How a call in JSON begins, whole or not."""


@dataclass(frozen=True)
class WrittenCall:
    """One tool call of a reply, exactly as the model wrote it."""

    id: str
    """The model's own id, "" when it gave none; it may repeat an earlier one (protocol section 7)."""
    name: str
    arguments: dict[str, Any] | None
    """The arguments when `raw` is one strict JSON object, else None."""
    raw: str
    """The arguments as text, before any reading."""
    problem: str | None
    """Why `raw` is not valid JSON, for the model to read, when `arguments` is None."""


def written_call(call_id: str, name: str, raw: str) -> WrittenCall:
    """Read the arguments of one call strictly: a JSON object, no key twice, no NaN or Infinity."""
    try:
        value = json.loads(raw, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        return WrittenCall(call_id, name, None, raw, str(error) or "nested too deeply")
    if not isinstance(value, dict):
        return WrittenCall(call_id, name, None, raw, "a JSON object is needed, with one key per argument")
    return WrittenCall(call_id, name, value, raw, None)


def calls_in(text: str, tool_names: Collection[str]) -> list[WrittenCall] | None:
    """Read `text` as one or more calls of offered tools; None when any part is something else.

    A call is a JSON value, or an element `<function name="…" arguments='{…}'/>` as small models write it.
    """
    decoder = json.JSONDecoder(strict=False)
    rest = text.strip()
    calls: list[WrittenCall] = []
    while rest:
        element = _ELEMENT.match(rest)
        if element is not None:
            if element[1] not in tool_names:
                return None
            calls.append(written_call("", element[1], html.unescape(element[3])))
            rest = rest[element.end() :].lstrip()
            continue
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            return None
        found = _calls_of(value, tool_names)
        if not found:
            return None
        strict = written_call("", "", rest[:end] if isinstance(value, dict) else "{}")
        if strict.problem is not None:
            found = [WrittenCall(call.id, call.name, None, rest[:end], strict.problem) for call in found]
        calls += found
        rest = rest[end:].lstrip(" \t\r\n,;")
    return calls or None


def element_end(text: str) -> int | None:
    """Find the end of the element `<function name=…/>` that `text` begins with, None when it is not complete."""
    found = _ELEMENT.match(text)
    return found.end() if found else None


def broken_call(text: str, tool_names: Collection[str]) -> WrittenCall | None:
    """Read `text` as a call of an offered tool whose JSON has an error; None when it is anything else, or cut.

    The model reads the error and can repair the call; as text it would only puzzle the user.
    """
    text = text.strip()
    head = CALL_HEAD.match(text)
    if head is None or head[1] not in tool_names or not text.endswith("}"):
        return None
    problem = written_call("", head[1], text).problem
    return None if problem is None else WrittenCall("", head[1], None, text, problem)


def _calls_of(value: Any, tool_names: Collection[str]) -> list[WrittenCall]:
    if isinstance(value, list):
        parts = [_calls_of(item, tool_names) for item in value]
        return [call for part in parts for call in part] if all(parts) else []
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls_of(value["tool_calls"], tool_names)
    spec = value["function"] if isinstance(value.get("function"), dict) else value
    name = next((spec[key] for key in ("name", "tool", "tool_name", "function") if isinstance(spec.get(key), str)), "")
    arguments = next((spec[key] for key in ("arguments", "args", "parameters") if key in spec), None)
    if name not in tool_names or not isinstance(arguments, dict | str):
        return []
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    call_id = value.get("id")
    return [written_call(call_id if isinstance(call_id, str) else "", name, raw)]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {json.dumps(key)} appears twice")
        value[key] = item
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
