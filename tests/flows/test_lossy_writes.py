"""A whole-file write that loses most of its file, or an unread part of it, is decided by a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ide import Chunks, Ide, only
from tests.openai_stub import OpenAIStub

Serve = Callable[..., Ide]
PATH = "lib/a.py"
LINES = [f"line {number}" for number in range(1, 11)]
TEXT = "\n".join(LINES) + "\n"
ROOT = {"workspace_root": "/home/me/app", "tools": ["edit_file"]}


def read(call_id: str = "r1", path: str = PATH, **arguments: Any) -> dict[str, Any]:
    return {"tool": "read_file", "args": {"path": path, **arguments}, "id": call_id}


def write(call_id: str, lines: list[str], path: str = PATH) -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": path, "content": "\n".join(lines) + "\n"}, "id": call_id}


def begun(serve: Serve, version: int = 2, **settings: Any) -> Ide:
    ide = serve(**settings)
    ide.version = version
    return ide


def told(stub: OpenAIStub) -> str:
    return str([m["content"] for m in stub.last_agent_request["messages"] if m["role"] == "tool"][-1])


def losing(chunks: Chunks) -> str | None:
    """Why nobody but a person may agree to a write; None for an ordinary one."""
    reasons = only(chunks, "tool_call")["metadata"]["reasons"]
    return next((str(reason["text"]) for reason in reasons if reason["code"] == "write.loss"), None)


def asked(chunks: Chunks) -> str:
    return str(only(chunks, "tool_call")["call_id"])


@pytest.mark.parametrize("result", [{"success": True, "content": TEXT}, TEXT], ids=["object", "text"])
def test_a_write_that_keeps_a_piece_of_the_file_is_losing(serve: Serve, stub: OpenAIStub, result: Any) -> None:
    ide = begun(serve)
    stub.script([read(), write("w1", LINES[:4]), {"text": "Done."}])
    ide.say("change line 3", agent_type="coder", environment=ROOT)
    chunks = ide.result("r1", result)
    assert losing(chunks) == "It takes 6 of the 10 lines out of lib/a.py"
    call = only(chunks, "tool_call")
    assert call["requires_approval"]
    assert [reason["code"] for reason in call["metadata"]["reasons"]] == ["write.loss", "tool.default"]


def test_an_edit_changes_what_is_known_of_the_file(serve: Serve, stub: OpenAIStub) -> None:
    ide = begun(serve)
    edit = {"tool": "edit_file", "args": {"path": PATH, "old": "line 3", "new": "line three"}, "id": "e1"}
    stub.script([read(), edit, write("w2", ["line three"]), {"text": "Done."}])
    ide.say("change line 3", agent_type="coder", environment=ROOT)
    assert asked(ide.result("r1", {"content": TEXT})) == "e1"
    ide.decide("e1", "approve")
    assert losing(ide.result("e1", {"success": True, "replaced": 1})) == "It takes 9 of the 10 lines out of lib/a.py"


EDITED = [*LINES[:2], "line three", *LINES[3:]]
TAKEN_BACK = "It takes back what was changed in lib/a.py before"


@pytest.mark.parametrize(
    ("old", "new", "content", "loss"),
    [
        ("line 3", "line three", LINES, TAKEN_BACK),
        ("line 3", "line three", [*LINES, "line 11"], TAKEN_BACK),
        ("line 3", "line three", [f"    {line}" for line in LINES], TAKEN_BACK),
        ("line 3", "line 3\nline 3a", LINES, TAKEN_BACK),
        ("line 3\n", "", LINES, TAKEN_BACK),
        ("line 3", "line three", [*EDITED, "line 11"], None),
        ("line 3", "line three", [*LINES[:2], "line III", *LINES[3:]], None),
        ("line 3", "line 3\nline 3a", [*LINES[:3], "line 3a", *LINES[3:], "line 11"], None),
        ("line 3\n", "", [*LINES[:2], *LINES[3:], "line 11"], None),
    ],
    ids=[
        "as it was read",
        "with something else",
        "indented",
        "an insertion",
        "a deletion",
        "kept",
        "changed otherwise",
        "insertion kept",
        "deletion kept",
    ],
)
def test_a_write_that_repeats_what_was_read_takes_back_the_change_of_the_turn(
    serve: Serve, stub: OpenAIStub, old: str, new: str, content: list[str], loss: str | None
) -> None:
    ide = begun(serve)
    edit = {"tool": "edit_file", "args": {"path": PATH, "old": old, "new": new}, "id": "e1"}
    stub.script([read(), edit, write("w2", content), {"text": "Done."}])
    ide.say("change line 3", agent_type="coder", environment=ROOT)
    ide.result("r1", {"content": TEXT})
    ide.decide("e1", "approve")
    assert losing(ide.result("e1", {"success": True, "replaced": 1})) == loss


def test_a_read_after_the_change_forgets_nothing_and_a_new_message_may_undo_it(serve: Serve, stub: OpenAIStub) -> None:
    ide = begun(serve)
    stub.script([read(), write("w1", EDITED), read("r2"), write("w2", LINES), {"text": "Kept."}, write("w3", LINES)])
    ide.say("change line 3", agent_type="coder", environment=ROOT)
    ide.result("r1", {"content": TEXT})
    ide.decide("w1", "approve")
    ide.result("w1", {"success": True})
    assert losing(ide.result("r2", {"content": "\n".join(EDITED) + "\n"})) == TAKEN_BACK
    ide.decide("w2", "reject")
    assert losing(ide.say("no, put line 3 back", agent_type="coder", environment=ROOT)) is None


@pytest.mark.parametrize(
    "content",
    [LINES, LINES[:5], ["    " + line for line in LINES], [*LINES, "line 11"], list(reversed(LINES))],
    ids=["same", "half", "indented", "appended", "reordered"],
)
def test_a_write_that_keeps_the_file_is_asked_about_as_before(
    serve: Serve, stub: OpenAIStub, content: list[str]
) -> None:
    ide = begun(serve)
    stub.script([read(), write("w1", content), {"text": "Done."}])
    ide.say("work", agent_type="coder", environment=ROOT)
    call = only(ide.result("r1", {"content": TEXT}), "tool_call")
    codes = [reason["code"] for reason in call["metadata"]["reasons"]]
    assert (call["call_id"], call["metadata"]["danger"], codes) == ("w1", "normal", ["tool.default"])


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({"start_line": 2}, {"content": TEXT}),
        ({"end_line": 10}, {"content": TEXT}),
        ({"start_line": 1, "end_line": 3}, {"content": "line 1\nline 2\nline 3\n"}),
        ({}, {"content": TEXT, "truncated": True}),
        ({}, {"content": TEXT, "total_lines": 400}),
        ({}, {"content": TEXT * 400}),
        ({}, TEXT * 400),
    ],
    ids=["from a line", "to a line", "a range", "cut by the client", "counted by the client", "cut here", "cut text"],
)
def test_replacing_a_file_that_was_read_in_part_is_losing(
    serve: Serve, stub: OpenAIStub, arguments: dict[str, Any], result: Any
) -> None:
    ide = begun(serve, max_tool_result_chars=2000)
    stub.script([read(**arguments), write("w1", [*LINES, "line 11"]), {"text": "Not written."}])
    ide.say("append a line", agent_type="coder", environment=ROOT)
    assert losing(ide.result("r1", result)) == "Only a part of lib/a.py was read, and write_file replaces all of it"


def test_a_range_that_holds_the_whole_file_is_a_whole_read(serve: Serve, stub: OpenAIStub) -> None:
    ide = begun(serve)
    stub.script([read(start_line=1, end_line=500), write("w1", [*LINES, "line 11"]), {"text": "Done."}])
    ide.say("append a line", agent_type="coder", environment=ROOT)
    assert asked(ide.result("r1", {"content": TEXT})) == "w1"


@pytest.mark.parametrize(("lines", "is_losing"), [(4, False), (5, True)])
def test_a_short_file_may_be_rewritten(serve: Serve, stub: OpenAIStub, lines: int, is_losing: bool) -> None:
    ide = begun(serve)
    stub.script([read(), write("w1", ["other"]), {"text": "Kept."}])
    ide.say("change it", agent_type="coder", environment=ROOT)
    chunks = ide.result("r1", {"content": "\n".join(LINES[:lines])})
    assert (losing(chunks) is not None) is is_losing


def test_a_file_that_the_session_wrote_is_known_under_any_spelling(serve: Serve, stub: OpenAIStub) -> None:
    ide = begun(serve)
    stub.script([write("w1", LINES), write("w2", ["x"], "/home/me/app/lib/a.py"), {"text": "Kept."}])
    ide.say("write it", agent_type="coder", environment=ROOT)
    ide.decide("w1", "approve")
    assert losing(ide.result("w1", {"success": True})) == "It takes 10 of the 10 lines out of lib/a.py"


def test_a_failed_read_tells_nothing_of_the_file(serve: Serve, stub: OpenAIStub) -> None:
    ide = begun(serve)
    stub.script([read(), write("w1", LINES), {"text": "Done."}])
    ide.say("create it", agent_type="coder", environment=ROOT)
    chunks = ide.send({"type": "tool_result", "call_id": "r1", "error": "no such file"})
    assert asked(chunks) == "w1"
