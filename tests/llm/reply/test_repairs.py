"""llm/reply/repairs.py: what can only mean one thing is repaired, everything else is left for the model to read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm.reply.repairs import repaired_calls
from llm.tool_calls import written_call
from tools.catalog import BY_NAME, TOOLS


def repaired(name: str, raw: str) -> tuple[str, Any, list[str]]:
    calls, repairs = repaired_calls([written_call("c1", name, raw)], TOOLS)
    assert len(calls) == 1
    assert calls[0].id == "c1"
    return calls[0].name, calls[0].arguments, list(repairs)


@pytest.mark.parametrize(
    "written",
    [
        "functions.read_file",
        "functions.read_file:0",
        "default_api.read_file",
        "default_api:read_file",
        "read_file<|channel|>commentary",
        "read_file<|channel|>json",
        "tools/read_file",
        "readFile",
        "Read_File",
        "read-file",
        "read_file()",
        " read_file ",
        "read_fileread_file",
        "mcp__codelab__read_file",
        "codelab.tools.read_file",
        "namespace::read_file",
        "read_file_tool",
        "tool_read_file",
        "functionsread_file",
        "functions_read_file_0",
        "<function>read_file",
        "assistant<|channel|>commentary to=functions.read_file",
        "$read_file",
        "Read File",
    ],
)
def test_a_name_with_something_round_it_is_mapped(written: str) -> None:
    assert repaired(written, '{"path": "a"}') == ("read_file", {"path": "a"}, ["name"])


@pytest.mark.parametrize(
    "written", ["delete_file", "read", "file", "", "read_file_now", "dont_read_file", "to=rm", "__"]
)
def test_another_name_stays(written: str) -> None:
    assert repaired(written, "{}")[0] == written


@pytest.mark.parametrize(
    ("raw", "arguments", "repairs"),
    [
        ('{"path": "a", "start_line": "3"}', {"path": "a", "start_line": 3}, ["number"]),
        ('{"path": "a", "start_line": 3.0}', {"path": "a", "start_line": 3}, ["number"]),
        ('{"path": "a", "end_line": null, "encoding": null}', {"path": "a"}, ["null", "null"]),
        (json.dumps('{"path": "a"}'), {"path": "a"}, ["double_encoding"]),
        (json.dumps(json.dumps('{"path": "a"}')), {"path": "a"}, ["double_encoding"]),
        ('{"path": "a"}{"path": "a"}', {"path": "a"}, ["repeated_arguments"]),
        ('{"path": "a", "start_line": 1}', {"path": "a", "start_line": 1}, []),
        ('{"path": null}', {"path": None}, []),
        ('{"path": "a", "start_line": "three"}', {"path": "a", "start_line": "three"}, []),
        ('{"path": "a", "start_line": true}', {"path": "a", "start_line": True}, []),
        ('{"path": "5"}', {"path": "5"}, []),
        ("{'path': 'a', 'end_line': None}", {"path": "a"}, ["syntax", "null"]),
        ("""{'path': "it's \\n", "start_line": 1,}""", {"path": "it's \n", "start_line": 1}, ["syntax"]),
        ('{"path": "a, ]", }', {"path": "a, ]"}, ["syntax"]),
        ('{"path": "a" // the first\n}', {"path": "a"}, ["syntax"]),
        ('{"path": "http://a"}</tool_call>', {"path": "http://a"}, ["syntax"]),
        ('```json\n{"path": "a"}\n```', {"path": "a"}, ["syntax"]),
        ('\ufeff{}{"path": "a"}<|call|>', {"path": "a"}, ["syntax"]),
        ('[{"path": "a"}]', {"path": "a"}, ["syntax"]),
        ('{"arguments": {"path": "a"}}', {"path": "a"}, ["wrapped_arguments"]),
        ('{"parameters": "{\\"path\\": \\"a\\"}"}', {"path": "a"}, ["wrapped_arguments"]),
        ('{"name": "functions.read_file", "input": {"path": "a"}}', {"path": "a"}, ["wrapped_arguments"]),
        ('{"path": "a", "startLine": "2"}', {"path": "a", "start_line": 2}, ["key", "number"]),
        ('{"file_path": "a"}', {"path": "a"}, ["key"]),
        ('{"Path": ["a"], "end_line": "None", "start_line": ""}', {"path": "a"}, ["key", "nested", "null", "null"]),
        (
            '{"name": "write_file", "arguments": {"path": "a"}}',
            json.loads('{"name":"write_file","arguments":{"path":"a"}}'),
            [],
        ),
        ('{"path": "a", "file_path": "b"}', {"path": "a", "file_path": "b"}, []),
        ('{"old_path": "a", "new_path": "b"}', {"old_path": "a", "new_path": "b"}, []),
        ("{'path': 'a', 'path': 'b'}", None, []),
        ('[{"path": "a"}, {"path": "b"}]', None, []),
        ("{'path': 'C:\\dir'}", None, []),
        ("{'path': open('x')}", None, []),
        ('{"path": "a"', None, []),
        ("{'path': 'a'", None, []),
        ('{"path": "a"}{"path": "b"}', None, []),
        ('{"path": "a", "path": "b"}', None, []),
        ("", None, []),
    ],
)
def test_arguments(raw: str, arguments: Any, repairs: list[str]) -> None:
    assert repaired("read_file", raw) == ("read_file", arguments, repairs)


def test_a_boolean_and_a_list_given_as_texts() -> None:
    written = '{"path": ".", "recursive": "True"}'
    assert repaired("list_files", written)[1:] == ({"path": ".", "recursive": True}, ["boolean"])
    task = {"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": "5", "dependencies": None}
    plan = {"title": "p", "description": "d", "subtasks": json.dumps([task])}
    arguments = repaired("create_plan", json.dumps(plan))[1]
    assert arguments["subtasks"] == [{"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": 5}]


def test_calls_in_one_that_asks_for_several() -> None:
    uses = [
        {"recipient_name": f"functions.{name}", "parameters": {"path": "a"}} for name in ("read_file", "list_files")
    ]
    calls, _ = repaired_calls([written_call("c", "multi_tool_use.parallel", json.dumps({"tool_uses": uses}))], TOOLS)
    assert [(call.name, call.arguments) for call in calls] == [
        ("read_file", {"path": "a"}),
        ("list_files", {"path": "a"}),
    ]


def test_every_argument_that_fits_is_left_as_it_is() -> None:
    raw = '{"path": "a", "content": "1", "create_dirs": false}'
    assert BY_NAME["write_file"].misfit(json.loads(raw)) is None
    assert repaired("write_file", raw) == ("write_file", json.loads(raw), [])


def test_keys_of_another_tool_of_this_kind() -> None:
    written = {"file_path": "a", "old_string": "1", "new_string": "2"}
    assert repaired("edit_file", json.dumps(written))[1:] == ({"path": "a", "old": "1", "new": "2"}, ["key"] * 3)


@pytest.mark.parametrize("piece", [" ", "{}", "[", "<a>", "\\", '"', "//", "```", "null", "{'a':"])
def test_a_long_text_that_is_no_object_is_given_up_soon(piece: str) -> None:
    raw = piece * (100_000 // len(piece))
    assert repaired("read_file", raw)[1] in (None, {})
