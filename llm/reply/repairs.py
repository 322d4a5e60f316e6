"""Repairs of a call before it is judged: the name as offered, the arguments as the tool's schema wants them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from json_text import parse_json
from llm.reply.loose_json import strict_json
from llm.reply.names import offered_name, snake_case
from llm.tool_calls import WrittenCall, written_call
from tools.tool import Tool

Repair = Literal[
    "name",
    "empty_arguments",
    "double_encoding",
    "repeated_arguments",
    "null",
    "number",
    "boolean",
    "nested",
    "syntax",
    "wrapped_arguments",
    "key",
]
_MAX_UNWRAPPED = 3
_PARALLEL = "parallel"
_WRAPPING_KEYS = frozenset({"arguments", "parameters", "input", "args", "params", "kwargs", "tool_input"})
_NAMING_KEYS = frozenset({"name", "tool", "tool_name", "function"})
_NOTHING = frozenset({"", "null", "none", "undefined"})
"""Texts that stand for no value where a text is no value."""


def repaired_calls(calls: Sequence[WrittenCall], tools: Sequence[Tool]) -> tuple[list[WrittenCall], list[Repair]]:
    """Repair what can only mean one thing; what stays wrong is for the model to read. Also says what was repaired."""
    by_name = {tool.name: tool for tool in tools}
    repairs: list[Repair] = []
    repaired = []
    for call in (part for written in calls for part in _parts(written)):
        name = offered_name(call.name, by_name)
        if name is not None and name != call.name:
            call, repairs = replace(call, name=name), [*repairs, "name"]
        tool = by_name.get(call.name)
        repaired.append(call if tool is None else _with_arguments(call, tool.parameters, repairs))
    return repaired, repairs


def _parts(call: WrittenCall) -> list[WrittenCall]:
    """The calls inside OpenAI's `multi_tool_use.parallel`, which some models write out; else the call itself."""
    uses = (call.arguments or {}).get("tool_uses")
    if not call.name.endswith(_PARALLEL) or not isinstance(uses, list):
        return [call]
    uses = [use for use in uses if isinstance(use, dict) and isinstance(use.get("recipient_name"), str)]
    return [written_call("", use["recipient_name"], json.dumps(use.get("parameters", {}))) for use in uses]


def _with_arguments(call: WrittenCall, schema: Mapping[str, Any], repairs: list[Repair]) -> WrittenCall:
    arguments = call.arguments
    if arguments is None:
        arguments = _read_again(call.raw, schema, repairs)
        if arguments is None:
            return call
    arguments = _unwrapped(call.name, arguments, schema, repairs)
    fitted = _fitted(_with_known_keys(arguments, schema, repairs), schema, repairs)
    if call.arguments is not None and json.dumps(fitted) == json.dumps(call.arguments):
        return call
    # What a text or a float became may be beyond what can be kept.
    again = written_call("", "", json.dumps(fitted))
    return call if again.arguments is None else replace(call, arguments=again.arguments, problem=None)


def _read_again(raw: str, schema: Mapping[str, Any], repairs: list[Repair]) -> dict[str, Any] | None:
    """Read arguments that are no JSON object at first sight: nothing, a JSON text in JSON, the same object twice."""
    if not raw.strip() or raw.strip() == "null":
        if schema.get("required"):
            return None
        repairs.append("empty_arguments")
        return {}
    text = raw
    for _ in range(_MAX_UNWRAPPED):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            break
        if not isinstance(inner, str):
            break
        call = written_call("", "", inner)
        if call.arguments is not None:
            repairs.append("double_encoding")
            return call.arguments
        text = inner
    half = len(raw) // 2
    if raw[:half] == raw[half:] and (call := written_call("", "", raw[:half])).arguments is not None:
        repairs.append("repeated_arguments")
        return call.arguments
    if (strict := strict_json(raw)) is not None and (call := written_call("", "", strict)).arguments is not None:
        repairs.append("syntax")
        return call.arguments
    return None


def _unwrapped(
    name: str, arguments: dict[str, Any], schema: Mapping[str, Any], repairs: list[Repair]
) -> dict[str, Any]:
    """Take the arguments out of `{"arguments": {…}}`, also where the name of the tool stands beside them."""
    properties = schema.get("properties", {})
    wrapping = [key for key in arguments if key in _WRAPPING_KEYS - properties.keys()]
    named = [key for key in arguments if key in _NAMING_KEYS - properties.keys()]
    is_wrapped = len(wrapping) == 1 and len(arguments) == 1 + len(named) and len(named) <= 1
    if not is_wrapped or any(offered_name(str(arguments[key]), [name]) is None for key in named):
        return arguments
    inner = arguments[wrapping[0]]
    inner = _loaded(inner) if isinstance(inner, str) else inner
    if not isinstance(inner, dict):
        return arguments
    repairs.append("wrapped_arguments")
    return inner


def _with_known_keys(arguments: dict[str, Any], schema: Mapping[str, Any], repairs: list[Repair]) -> dict[str, Any]:
    """Rename `startLine` to `start_line`, and `file_path` to `path` where a needed `path` is missing."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    unknown = {key: snake_case(key) for key in arguments if key not in properties}
    known: dict[str, str] = {}
    for missing in [key for key in properties if key not in arguments] if unknown else ():
        same = [key for key, snake in unknown.items() if snake == missing]
        if not same and missing in required:
            same = [key for key, snake in unknown.items() if re.search(rf"(?:\A|_){missing}(?:_|\Z)", snake)]
        if len(same) == 1 and same[0] not in known:
            known[same[0]] = missing
    repairs += ["key"] * len(known)
    return {known.get(key, key): value for key, value in arguments.items()}


def _fitted(value: Any, schema: Mapping[str, Any], repairs: list[Repair]) -> Any:
    """Bring a value to its schema where a text or a null can only mean one thing."""
    kind = schema.get("type")
    if kind == "object" and isinstance(value, Mapping):
        properties, required = schema.get("properties", {}), schema.get("required", [])
        fitted = {}
        for key, item in value.items():
            if key in properties and key not in required and _is_nothing(item, properties[key]):
                repairs.append("null")
                continue
            fitted[key] = _fitted(item, properties[key], repairs) if key in properties else item
        return fitted
    if kind == "array" and isinstance(value, list):
        return [_fitted(item, schema.get("items", {}), repairs) for item in value]
    if kind == "string" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        repairs.append("nested")
        return value[0]
    if kind in ("array", "object") and isinstance(value, str):
        inner = _loaded(value)
        if isinstance(inner, list if kind == "array" else dict):
            repairs.append("nested")
            return _fitted(inner, schema, repairs)
    if kind == "integer" and not isinstance(value, bool):
        number = _loaded(value.strip()) if isinstance(value, str) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and number is not value:
            repairs.append("number")
            return number
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        repairs.append("boolean")
        return value.strip().lower() == "true"
    return value


def _is_nothing(value: Any, schema: Mapping[str, Any]) -> bool:
    is_no_text = schema.get("type") not in (None, "string")
    return value is None or (is_no_text and isinstance(value, str) and value.strip().lower() in _NOTHING)


def _loaded(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None
