"""`edit_file` for an IDE with the twelve tools: a hidden read, then the write that the policy and the person see."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.ide import Chunks, Ide, answer_of, final_kinds, of_type, only, outcome_of, user_message
from tests.openai_stub import OpenAIStub
from tests.running import talking

Serve = Callable[..., Ide]
PATH = "lib/a.py"
OLD = "def one():\r\n    return 1\r\n"
NEW = "def one():\r\n    return 2\r\n"
SHA = "a" * 64


def edit(call_id: str = "e1", **arguments: Any) -> dict[str, Any]:
    return {
        "tool": "edit_file",
        "args": {"path": PATH, "old": "return 1", "new": "return 2", **arguments},
        "id": call_id,
    }


def whole(text: str = OLD, **fields: Any) -> dict[str, Any]:
    return {"success": True, "content": text, "lines_read": len(text.splitlines()), **fields}


def asked(chunks: Chunks) -> tuple[str, str, dict[str, Any], bool]:
    call = only(chunks, "tool_call")
    return call["call_id"], call["tool_name"], call["arguments"], call["requires_approval"]


def results_sent(stub: OpenAIStub) -> list[tuple[str, str]]:
    messages = stub.last_agent_request["messages"]
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]


@pytest.mark.parametrize("version", [1, 2])
def test_the_person_is_asked_about_the_whole_new_text(serve: Serve, stub: OpenAIStub, version: int) -> None:
    ide = serve()
    ide.version = version
    stub.script([edit(), {"text": "Changed."}])
    assert asked(ide.say("change it", agent_type="coder")) == ("e1.read", "read_file", {"path": PATH}, False)
    chunks = ide.result("e1.read", whole(sha256=SHA))
    assert asked(chunks) == ("e1", "write_file", {"path": PATH, "content": NEW}, True)
    if version == 2:
        assert only(chunks, "tool_call")["metadata"]["precondition"] == {"sha256": SHA}
    ide.decide("e1", "approve")
    assert answer_of(ide.result("e1", {"success": True, "bytes_written": 26})) == "Changed."
    assert ide.tool_messages() == {"e1": '{"success": true, "bytes_written": 26}'}
    assert [call_id for call_id, _ in results_sent(stub)] == ["e1"]
    assert "e1.read" not in json.dumps(stub.last_agent_request)


@pytest.mark.parametrize(
    ("arguments", "result", "said"),
    [
        ({"old": "return 3"}, whole(), f"The text does not occur in {PATH}: read the file again."),
        ({"old": "return 3"}, whole(), "most like it is this part:\n"),
        ({"old": "\n"}, whole(), "Found 2 occurrences of the text, expected 1: give more of its surroundings."),
        ({"count": 2}, whole(), "Found 1 occurrences of the text, expected 2: give more of its surroundings."),
        ({}, whole(truncated=True), "could not be read as a whole"),
        ({}, whole(total_lines=900), "could not be read as a whole"),
        ({}, whole(file_size=5000), "could not be read as a whole"),
        ({}, whole(OLD + "[... 120 more lines ...]"), "could not be read as a whole"),
        ({}, OLD + "\n… (truncated)\n", "could not be read as a whole"),
        ({}, {"success": False}, "could not be read as a whole"),
        ({}, None, "could not be read as a whole"),
        ({}, [OLD], "could not be read as a whole"),
        ({}, whole(OLD + "\ufffd"), "cannot be read as text"),
        ({}, whole(OLD + "\0"), "cannot be read as text"),
    ],
)
def test_an_edit_that_cannot_be_made_is_told_and_writes_nothing(
    serve: Serve, stub: OpenAIStub, arguments: dict[str, Any], result: Any, said: str
) -> None:
    ide = serve()
    stub.script([edit(**arguments), {"text": "I see."}])
    ide.say("change it", agent_type="coder")
    chunks = ide.result("e1.read", result)
    assert of_type(chunks, "tool_call") == []
    assert answer_of(chunks) == "I see."
    (call_id, told), *others = ide.tool_messages().items()
    assert (call_id, others) == ("e1", [])
    assert told.startswith("Error: ")
    assert said in told


def test_a_file_that_cannot_be_read_is_told_as_the_client_said_it(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(), {"text": "I see."}])
    ide.say("change it", agent_type="coder")
    ide.send({"type": "tool_result", "call_id": "e1.read", "error": "There is no such file."})
    assert ide.tool_messages() == {"e1": "Error: There is no such file."}


def test_counts_that_fit_the_text_are_those_of_a_whole_file(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(), {"text": "Changed."}])
    ide.say("change it", agent_type="coder")
    text = "# Larger values are truncated.\n" + OLD + "é"
    result = whole(text, total_lines=4, size=len(text.encode()), truncated=False)
    assert asked(ide.result("e1.read", result))[2]["content"] == text.replace("return 1", "return 2")


def test_a_text_result_is_the_whole_file(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(), {"text": "Changed."}])
    ide.say("change it", agent_type="coder")
    assert asked(ide.result("e1.read", OLD))[2]["content"] == NEW


def test_edits_of_one_reply_are_made_one_after_the_other(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    first, second = edit("e1"), edit("e2", old="one", new="two")
    look = {"tool": "list_files", "args": {"path": "."}, "id": "l1"}
    stub.script([{"tools": [first, second, look]}, {"text": "Changed."}])
    assert asked(ide.say("change it", agent_type="coder"))[0] == "e1.read"
    assert asked(ide.result("e1.read", whole()))[0] == "e1"
    ide.decide("e1", "approve")
    assert asked(ide.result("e1", {"success": True}))[0] == "e2.read"
    write = asked(ide.result("e2.read", whole(NEW)))
    assert write[2]["content"] == NEW.replace("one", "two")
    ide.decide("e2", "approve")
    assert asked(ide.result("e2", {"success": True}))[0] == "l1"
    assert answer_of(ide.result("l1", {"items": []})) == "Changed."
    assert [call_id for call_id, _ in results_sent(stub)] == ["e1", "e2", "l1"]


def test_a_rejected_write_is_told_as_the_edit(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(), {"text": "All right."}])
    ide.say("change it", agent_type="coder")
    ide.result("e1.read", whole())
    assert answer_of(ide.decide("e1", "reject", feedback="not so")) == "All right."
    assert ide.tool_messages() == {"e1": "The user rejected this call: not so"}


def test_a_secret_is_asked_for_twice_and_read_as_what_was_meant(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(path=".env"), edit("e2", path=".env"), {"text": "All right."}])
    assert asked(ide.say("change it", agent_type="coder")) == ("e1.read", "read_file", {"path": ".env"}, True)
    ide.decide("e1.read", "edit", modified_arguments={"path": "lib/b.py"})
    assert asked(ide.result("e1.read", whole()))[0] == "e2.read"
    assert "something else" in ide.tool_messages()["e1"]
    assert answer_of(ide.decide("e2.read", "reject")) == "All right."
    assert ide.tool_messages()["e2"] == "The user rejected this call."


@pytest.mark.parametrize(("agent", "path"), [("coder", "../a.py"), ("coder", ".git/config"), ("architect", PATH)])
def test_a_forbidden_edit_reads_nothing(serve: Serve, stub: OpenAIStub, agent: str, path: str) -> None:
    ide = serve()
    stub.script([edit(path=path), {"text": "I may not."}])
    chunks = ide.say("change it", agent_type=agent)
    assert of_type(chunks, "tool_call") == []
    assert only(chunks, "status")["metadata"]["call_id"] == "e1"


def test_a_grant_for_writes_holds_and_its_write_is_not_asked(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([edit(), edit("e2", old="return 2", new="return 3"), {"text": "Changed."}])
    ide.say("change it", agent_type="coder")
    ide.result("e1.read", whole())
    ide.decide("e1", "approve", remember="session")
    ide.result("e1", {"success": True})
    assert asked(ide.result("e2.read", whole(NEW)))[3] is False


@pytest.mark.parametrize(("decision", "calls"), [("ask", [("e2.read", False), ("e2", True)]), ("deny", [])])
def test_a_rule_about_edits_alone_holds_for_their_write(
    serve: Serve, stub: OpenAIStub, decision: str, calls: list[tuple[str, bool]]
) -> None:
    ide = serve()
    rule = {"tool": "edit_file", "path": ["lib/**"], "decision": decision, "why": "Look at edits."}
    write = {"tool": "write_file", "args": {"path": PATH, "content": OLD}, "id": "w1"}
    stub.script([write, {"text": "Written."}, edit("e2"), {"text": "Changed."}])
    ide.say("write it", agent_type="coder")
    ide.decide("w1", "approve", remember="session")
    ide.result("w1", {"success": True})
    made = of_type(ide.say("change it", environment={"rules": [rule]}), "tool_call")
    if made:
        made += of_type(ide.result("e2.read", whole()), "tool_call")
    assert [(call["call_id"], call["requires_approval"]) for call in made] == calls


@pytest.mark.parametrize("at", ["e1.read", "e1"])
@pytest.mark.parametrize("end", ["message", "cancel"])
def test_an_edit_that_is_interrupted_has_one_result(serve: Serve, stub: OpenAIStub, at: str, end: str) -> None:
    ide = serve()
    stub.script([edit(), {"text": "Something else."}])
    ide.say("change it", agent_type="coder")
    if at == "e1":
        ide.result("e1.read", whole())
    if end == "cancel":
        ide.client.post(f"{ide.path}/cancel")
    assert answer_of(ide.say("do something else")) == "Something else."
    (call_id, told), *others = ide.tool_messages().items()
    assert (call_id, others) == ("e1", [])
    assert told.endswith("Treat it as not run.")
    assert [sent for sent, _ in results_sent(stub)] == ["e1"]
    late = ide.result("e1.read", whole())
    assert only(late, "status")["metadata"]["status"] == "already_settled"


@pytest.mark.parametrize("call_id", ["x" * 62, "x"])
def test_an_id_whose_read_could_not_be_named_is_replaced(serve: Serve, stub: OpenAIStub, call_id: str) -> None:
    ide = serve()
    taken = {"tool": "list_files", "args": {"path": "."}, "id": "x.read"}
    stub.script([taken, edit(call_id), {"text": "Changed."}])
    ide.say("change it", agent_type="coder")
    read = asked(ide.result("x.read", {"items": []}))
    assert read[0].startswith("call_")
    assert read[0].endswith(".read")
    assert asked(ide.result(read[0], whole()))[0] == read[0].removesuffix(".read")


def test_a_restart_between_read_and_write_loses_nothing(db_url: str, stub: OpenAIStub) -> None:
    stub.script([edit(), {"text": "Changed."}])
    with talking(db_url, stub) as client:
        Ide(client, session_id="s1").say("change it", agent_type="coder")
    with talking(db_url, stub) as client:
        ide = Ide(client, session_id="s1")
        assert asked(ide.result("e1.read", whole(sha256=SHA)))[0] == "e1"
    with talking(db_url, stub) as client:
        ide = Ide(client, session_id="s1")
        assert [row["arguments"]["content"] for row in ide.approvals()] == [NEW]
        ide.decide("e1", "approve")
    with talking(db_url, stub) as client:
        ide = Ide(client, session_id="s1")
        chunks = ide.result("e1", {"success": True})
        assert (answer_of(chunks), outcome_of(chunks)) == ("Changed.", "completed")
        assert ide.tool_messages() == {"e1": '{"success": true}'}


def test_the_edit_of_a_subtask_stays_in_its_plan(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    subtask = {"title": "t", "description": "d", "agent": "coder", "estimated_time_minutes": 1}
    plan = {"tool": "create_plan", "args": {"title": "T", "description": "D", "subtasks": [subtask]}, "id": "p1"}
    stub.script([plan, edit(), {"text": "Changed."}])
    chunks = ide.post(user_message("plan it", agent_type="architect"))[1]
    assert asked(ide.approve_plan(chunks))[0] == "e1.read"
    assert asked(ide.result("e1.read", whole()))[0] == "e1"
    ide.decide("e1", "approve")
    chunks = ide.result("e1", {"success": True})
    assert final_kinds(chunks)[-3:] == ["subtask_completed", "execution_completed", "done"]


@pytest.mark.parametrize("is_known", [True, False], ids=["read before", "not read before"])
def test_an_edit_of_most_of_a_file_tells_the_person_what_it_loses(
    serve: Serve, stub: OpenAIStub, *, is_known: bool
) -> None:
    text = "".join(f"line {number}\n" for number in range(10))
    read = {"tool": "read_file", "args": {"path": PATH}, "id": "r1"}
    stub.script([*[read] * is_known, edit(old=text, new="line 0\n"), {"text": "Done."}])
    ide = serve()
    ide.version = 2
    ide.say("shorten it", agent_type="coder")
    if is_known:
        ide.result("r1", whole(text))
    call = only(ide.result("e1.read", whole(text)), "tool_call")
    reasons = call["metadata"]["reasons"]
    assert {"code": "write.loss", "text": f"It takes 9 of the 10 lines out of {PATH}"} in [
        {"code": reason["code"], "text": reason["text"]} for reason in reasons
    ]
