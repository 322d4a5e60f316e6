"""llm/tool_calls.py: strict arguments, and calls written as text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.reply.syntaxes import calls_in
from llm.tool_calls import written_call


def test_a_json_object_is_read() -> None:
    call = written_call("c1", "read_file", '{"path": "a.py", "start_line": 3}')
    assert (call.arguments, call.problem) == ({"path": "a.py", "start_line": 3}, None)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('{"path": "a.py', "Unterminated string"),
        ("{bad json", "property name"),
        ("", "Expecting value"),
        ("[1]", "object"),
        ("null", "object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"o": {"b": 1, "b": 2}}', "twice"),
        ('{"a": 1} {"b": 2}', "Extra data"),
        ("[" * 100_000, ""),
        ('{"n": ' + "9" * 5000 + "}", "digits"),
        ('{"n": 18446744073709551616}', "64 bits"),
        ('{"n": [-9223372036854775809]}', "64 bits"),
        ('{"n": -1e400}', "too large"),
        ('{"n": ' + "[" * 100 + "]" * 100 + "}", "100 levels"),
        ('{"n": "\\ud800"}', "surrogate"),
    ],
)
def test_anything_else_is_a_problem_that_is_named(raw: str, said: str) -> None:
    call = written_call("c1", "t", raw)
    assert call.arguments is None
    assert call.raw == raw
    assert call.problem
    assert said in call.problem


NAMES = st.text(max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(NAMES, JSON, min_size=1, max_size=3)


@given(ARGUMENTS)
def test_what_json_writes_is_read_back(arguments: dict[str, object]) -> None:
    assert written_call("", "t", json.dumps(arguments)).arguments == arguments


@given(ARGUMENTS, st.data())
def test_cut_arguments_are_never_read(arguments: dict[str, object], data: st.DataObject) -> None:
    raw = json.dumps(arguments)
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert written_call("", "t", raw[:cut]).arguments is None


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "read_file", "arguments": {"path": "a"}}',
        '{"tool": "read_file", "args": {"path": "a"}}',
        '{"tool": "read_file", "parameters": {"path": "a"}}',
        '{"tool_calls": [{"name": "read_file", "arguments": {"path": "a"}}]}',
        '{"type": "function", "function": {"name": "read_file", "arguments": "{\\"path\\": \\"a\\"}"}}',
        '{"function": "read_file", "arguments": {"path": "a"}}',
        '[{"name": "read_file", "arguments": {"path": "a"}}]',
    ],
)
def test_every_shape_of_a_call_in_text_is_known(text: str) -> None:
    calls = calls_in(text, ["read_file"])
    assert calls is not None
    assert [(call.name, call.arguments) for call in calls] == [("read_file", {"path": "a"})]


@pytest.mark.parametrize(
    "text", ['{"name": "other", "arguments": {}}', '{"name": "read_file"}', '{"path": "a"}', "words", "", "[]", '"x"']
)
def test_json_that_calls_nothing_offered_is_no_call(text: str) -> None:
    assert calls_in(text, ["read_file"]) is None


def test_a_call_in_text_with_a_key_twice_is_refused_by_name() -> None:
    calls = calls_in('{"name": "read_file", "arguments": {"path": "a", "path": "b"}}', ["read_file"])
    assert calls is not None
    assert calls[0].arguments is None
    assert "twice" in str(calls[0].problem)
