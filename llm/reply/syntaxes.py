"""The syntaxes in which models write calls into their text: JSON, elements, special tokens, function calls."""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Callable, Collection
from typing import Any

from llm.reply.names import offered_name
from llm.tool_calls import WrittenCall, written_call

_WRAPPERS = "tool_calls?|TOOLCALL|tools|tool_use|tool_response|tool_result|function_calls?|functions|action"
_SPACE = r"(?:\w+:|｜DSML｜)?"
"""What some models write before the names of their elements."""
FENCES = "json|json5|jsonc|xml|tool|tools|tool_calls?|tool_use|tool_code|functions?|function_calls?|call"
_DECORATION = re.compile(
    rf"\s+|[,;]|</?{_SPACE}(?:{_WRAPPERS})>|```(?:{FENCES})?(?![\w-])|\[/?TOOL_CALLS\]|functools(?=\s*\[)"
    r"|<\|(?:python_tag|eom_id|eot_id|im_end|end|call|tool_call|/tool_call|tool_call_start|tool_call_end"
    r"|tool_calls_section_begin|tool_calls_section_end|tool_call_begin|start|endoftext|START_ACTION|END_ACTION"
    r"|action_start|action_end|plugin|tools_prefix|tools_suffix)\|>"
    r"|<｜(?:tool[▁_]calls?[▁_](?:begin|end)|tool▁outputs▁begin|end▁of▁sentence)｜>|function<｜tool[▁_]sep｜>(?=<)"
    r"|</s>|Action:|print\((?=\w)"
)
"""What may stand round calls and says nothing itself."""
_NAME = r"([A-Za-z_][\w.:/-]*)"
_HEADED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"function<｜tool▁sep｜>\s*{_NAME}\s*```(?:json)?\s*",
        rf"{_NAME}\s*<｜tool▁sep｜>\s*",
        rf"{_NAME}(?:\[CALL_ID\][\w-]+)?\[ARGS\]\s*",
        rf"{_NAME}\s*<\|tool_call_argument_begin\|>\s*",
        rf"(?:assistant\s*)?<\|channel\|>\s*commentary\s+to={_NAME}\s*(?:<\|constrain\|>\s*)?(?:json)?\s*<\|message\|>\s*",
        rf"{_NAME}\s*\n\s*Action Input:\s*",
        rf"<name>\s*{_NAME}\s*</name>\s*<(?:arguments|parameters|input)>\s*",
        rf"{_NAME}\s*```(?:json)?\s*",
        rf"{_NAME}[ \t]*\n?[ \t]*(?=\{{)",
    )
)
"""A name with a mark behind it; the arguments follow as a JSON object."""
_CLOSED_INPUT = re.compile(r"\s*</(?:arguments|parameters|input)>")
_ELEMENT = re.compile(
    r"""<function\s+name=["']([\w.:-]+)["']\s+arguments=(["'])(.*?)\2\s*(?:/>|>\s*</function>)""", re.DOTALL
)
_FUNCTION = re.compile(r"<function(?:=|\s+name=)[\"']?([\w.:-]+)[\"']?\s*>(.*?)</function>", re.DOTALL)
_INVOKE = re.compile(rf"<{_SPACE}invoke\s+name=[\"']([\w.:-]+)[\"']\s*>(.*?)</{_SPACE}invoke>", re.DOTALL)
_PARAMETER = re.compile(
    rf"<{_SPACE}parameter(?:=|\s+name=)[\"']?(\w+)[\"']?[^>]*>(.*?)</{_SPACE}parameter>\s*", re.DOTALL
)
# Atomic groups: an element ends at its first closing mark. Any other end would be tried in every combination.
_PAIRS = re.compile(rf"{_NAME}\s*((?:(?><arg_key>.*?</arg_key>)\s*(?><arg_value>.*?</arg_value>)\s*)++)", re.DOTALL)
_PAIR = re.compile(r"(?><arg_key>(.*?)</arg_key>)\s*(?><arg_value>(.*?)</arg_value>)", re.DOTALL)
_NAMED = re.compile(r"<(\w+)>\s*((?:(?><(\w+)>.*?</\3>)\s*)*+)</\1>", re.DOTALL)
_CHILD = re.compile(r"<(\w+)>(.*?)</\1>", re.DOTALL)
_PYTHONIC = re.compile(rf"(\[\s*)?{_NAME}(?:\.call)?\(")
_MAX_PARSED_CHARS = 400_000
"""Of a call in Python's syntax, over all the parentheses at which it may end."""

Found = tuple[list[WrittenCall], int]
MAX_CALLS = 100
"""A text with more is none of calls: to read each may cost the length of the rest."""
CALL_HEAD = re.compile(
    r'\{\s*"(?:name|tool|tool_name|function)"\s*:\s*"([\w.:-]+)"\s*,\s*"(?:arguments|args|parameters)"\s*:\s*[{"]'
)
"""How a call in JSON begins, whole or not."""


def calls_in(text: str, tool_names: Collection[str]) -> list[WrittenCall] | None:
    """Read `text` as one or more calls of offered tools; None when any part is something else."""
    position, calls = 0, list[WrittenCall]()
    while (position := _skip(text, position)) < len(text):
        found = next((f for read in _READERS if (f := read(text, position, tool_names)) is not None), None)
        if found is None or not found[0] or len(calls) + len(found[0]) > MAX_CALLS:
            return None
        calls += found[0]
        position = found[1]
        if text.startswith(")", position):
            position += 1
    return calls or None


def broken_call(text: str, tool_names: Collection[str]) -> WrittenCall | None:
    """Read `text` as a call of an offered tool whose JSON has an error; None when it is anything else, or cut.

    The model reads the error and can repair the call; as text it would only puzzle the user.
    """
    text = text[_skip(text, 0) :]
    end = max(text.rfind("}"), 0) + 1
    head = CALL_HEAD.match(text)
    name = offered_name(head[1], tool_names) if head else None
    if name is None or _skip(text, end) < len(text):
        return None
    problem = written_call("", name, text[:end]).problem
    return None if problem is None else WrittenCall("", name, None, text[:end], problem)


def _skip(text: str, position: int) -> int:
    while found := _DECORATION.match(text, position):
        position = found.end()
    return position


def _read_json(text: str, position: int, names: Collection[str]) -> Found | None:
    value, end = _json_at(text, position)
    if end is None or not isinstance(value, dict | list):
        return None
    found = _calls_of(value, names)
    strict = written_call("", "", text[position:end] if isinstance(value, dict) else "{}")
    if strict.problem is not None:
        found = [WrittenCall(call.id, call.name, None, text[position:end], strict.problem) for call in found]
    return found, end


def _read_headed(text: str, position: int, names: Collection[str]) -> Found | None:
    for pattern in _HEADED:
        head = pattern.match(text, position)
        name = offered_name(head[1], names) if head else None
        if head is None or name is None:
            continue
        value, end = _json_at(text, head.end())
        if end is not None and isinstance(value, dict):
            closed = _CLOSED_INPUT.match(text, end)
            return [written_call("", name, text[head.end() : end])], closed.end() if closed else end
    return None


def _read_element(text: str, position: int, names: Collection[str]) -> Found | None:
    found = _ELEMENT.match(text, position)
    name = offered_name(found[1], names) if found else None
    if found is None or name is None:
        return None
    return [written_call("", name, html.unescape(found[3]))], found.end()


def _read_function(text: str, position: int, names: Collection[str]) -> Found | None:
    found = _FUNCTION.match(text, position) or _INVOKE.match(text, position)
    name = offered_name(found[1], names) if found else None
    if found is None or name is None:
        return None
    inner = found[2].strip()
    if inner.startswith("{"):
        return [written_call("", name, inner)], found.end()
    pairs, end = list[tuple[str, ...]](), 0
    while end < len(inner):
        parameter = _PARAMETER.match(inner, end)
        if parameter is None:
            return None
        pairs.append(parameter.groups())
        end = parameter.end()
    return [_from_texts(name, pairs)], found.end()


def _read_pairs(text: str, position: int, names: Collection[str]) -> Found | None:
    found = _PAIRS.match(text, position)
    name = offered_name(found[1], names) if found else None
    return ([_from_texts(name, _PAIR.findall(found[2]))], found.end()) if found and name else None


def _read_named(text: str, position: int, names: Collection[str]) -> Found | None:
    found = _NAMED.match(text, position)
    name = offered_name(found[1], names) if found else None
    return ([_from_texts(name, _CHILD.findall(found[2]))], found.end()) if found and name else None


def _read_pythonic(text: str, position: int, names: Collection[str]) -> Found | None:
    head = _PYTHONIC.match(text, position)
    if head is None or offered_name(head[2].removesuffix(".call"), names) is None:
        return None
    closer, end = ("]", position) if head[1] else (")", head.end() - 1)
    parsed = 0
    while end := text.find(closer, end) + 1:
        parsed += end - position
        if parsed > _MAX_PARSED_CHARS:
            return None
        try:
            tree = ast.parse(text[position:end].strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        parts = tree.elts if isinstance(tree, ast.List) else [tree]
        calls = [_pythonic_call(part, names) for part in parts]
        return ([call for call in calls if call is not None], end) if all(calls) else None
    return None


def _pythonic_call(node: ast.expr, names: Collection[str]) -> WrittenCall | None:
    if not isinstance(node, ast.Call) or node.args or any(keyword.arg is None for keyword in node.keywords):
        return None
    name = offered_name(ast.unparse(node.func).removesuffix(".call"), names)
    try:
        arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        raw = json.dumps(arguments, ensure_ascii=False)
    except (ValueError, TypeError):
        return None
    return written_call("", name, raw) if name else None


_READERS: tuple[Callable[[str, int, Collection[str]], Found | None], ...] = (
    _read_json,
    _read_element,
    _read_function,
    _read_headed,
    _read_pairs,
    _read_named,
    _read_pythonic,
)


def _json_at(text: str, position: int) -> tuple[Any, int | None]:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, position)
    except (ValueError, RecursionError):
        return None, None


def _calls_of(value: Any, names: Collection[str]) -> list[WrittenCall]:
    if isinstance(value, list):
        parts = [_calls_of(item, names) for item in value]
        return [call for part in parts for call in part] if all(parts) else []
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls_of(value["tool_calls"], names)
    for key in ("function", "tool_call", "function_call"):
        if isinstance(value.get(key), dict):
            return [
                WrittenCall(_id_of(value), c.name, c.arguments, c.raw, c.problem) for c in _calls_of(value[key], names)
            ]
    if len(value) == 1 and isinstance(arguments := next(iter(value.values())), dict):
        name = offered_name(next(iter(value)), names)
        if name is not None:
            return [written_call("", name, json.dumps(arguments, ensure_ascii=False))]
    named = ("name", "tool", "tool_name", "function", "action")
    written = next((value[key] for key in named if isinstance(value.get(key), str)), "")
    name = offered_name(written, names)
    keys = ("arguments", "args", "parameters", "input", "action_input", "tool_input")
    arguments = next((value[key] for key in keys if key in value), None)
    if name is None or not isinstance(arguments, dict | str):
        return []
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return [written_call(_id_of(value), name, raw)]


def _id_of(value: dict[str, Any]) -> str:
    return next((value[key] for key in ("id", "tool_call_id") if isinstance(value.get(key), str)), "")


def _from_texts(name: str, pairs: list[tuple[str, ...]]) -> WrittenCall:
    """Arguments from elements: each a text, with the line ends that set it off taken away."""
    arguments = {key.strip(): _trimmed(value) for key, value in pairs}
    return written_call("", name, json.dumps(arguments, ensure_ascii=False))


def _trimmed(value: str) -> str:
    value = value.removeprefix("\r").removeprefix("\n")
    return value.removesuffix("\n").removesuffix("\r")
