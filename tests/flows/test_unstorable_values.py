"""Values that no checkpoint can hold: the model is told, a client is refused, and the session goes on."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.ide import Ide, answer_of, error_of, of_type, outcome_of
from tests.openai_stub import OpenAIStub

Serve = Callable[..., Ide]
ARGUMENTS = {
    "big": '{"path": "a.py", "start_line": 123456789012345678901234567890}',
    "negative": '{"path": "a.py", "start_line": -9223372036854775809}',
    "inside": '{"path": "a.py", "more": {"list": [1, 18446744073709551616]}}',
    "float": '{"path": "a.py", "start_line": 1e400}',
    "nan": '{"path": "a.py", "start_line": NaN}',
    "digits": '{"path": "a.py", "start_line": "123456789012345678901234567890"}',
    "surrogate": '{"path": "a\\ud800.py"}',
    "key": '{"path": "a.py", "\\udfff": 1}',
    "levels-101": '{"path": "a.py", "more": ' + "[" * 100 + "]" * 100 + "}",
    "levels-900": '{"path": "a.py", "more": ' + "[" * 900 + "]" * 900 + "}",
    "levels-50000": '{"path": "a.py", "more": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
}
NAMES = ["read\x00file", "read_file\x00", "read_file\ud800", "x" * 100_000, "read file\n"]
IDS = ["call\x00", "call\ud800", "c" * 100_000, "\u2028"]


def test_arguments_that_cannot_be_kept_are_told_to_the_model(serve: Serve, stub: OpenAIStub) -> None:
    client = serve().client
    for name, raw in ARGUMENTS.items():
        ide = Ide(client)
        stub.script([{"tool": "read_file", "args": raw, "id": "call_1"}, {"text": "I see."}, {"text": "Still here."}])
        chunks = ide.say("read a.py", agent_type="coder")
        assert of_type(chunks, "tool_call") == []
        assert (answer_of(chunks), outcome_of(chunks)) == ("I see.", "completed"), (name, chunks)
        told = [m["content"] for m in stub.last_agent_request["messages"] if m["role"] == "tool"]
        assert [text.startswith("The arguments of this call") for text in told] == [True], told
        assert answer_of(ide.say("Are you there?")) == "Still here."
    assert stub.violations == []


def test_arguments_at_the_border_are_kept(serve: Serve, stub: OpenAIStub) -> None:
    client = serve().client
    raw = '{"path": "a.py", "more": [18446744073709551615, -9223372036854775808, ' + "[" * 98 + "]" * 98 + "]}"
    exponent = '{"path": "a.py", "start_line": 1e30}'
    for written in (raw, exponent, '{"path": "a\\u0000.py"}', '{"path": "a\\ud83d\\ude00.py"}'):
        ide = Ide(client)
        stub.script([{"tool": "read_file", "args": written, "id": "call_1"}, {"text": "I see."}])
        chunks = ide.say("read a.py", agent_type="coder")
        assert error_of(chunks) is None, (written, chunks)
        assert outcome_of(chunks) in ("awaiting_tool", "awaiting_approval", "completed")


def test_tool_names_that_cannot_be_stored_end_no_turn(serve: Serve, stub: OpenAIStub) -> None:
    client = serve().client
    for name in NAMES:
        ide = Ide(client)
        stub.script([{"tool": name, "args": {"path": "a.py"}, "id": "c"}, {"text": "I see."}])
        chunks = ide.say("read a.py", agent_type="coder")
        assert (error_of(chunks), outcome_of(chunks)) in [(None, "completed"), (None, "awaiting_tool")], (name, chunks)
        stub.script([{"text": "Still here."}])
        assert answer_of(ide.say("Are you there?")) == "Still here."
    assert stub.violations == []


def test_call_ids_that_cannot_be_stored_are_replaced(serve: Serve, stub: OpenAIStub) -> None:
    client = serve().client
    for call_id in IDS:
        ide = Ide(client)
        stub.script([{"tool": "read_file", "args": {"path": "a.py"}, "id": call_id}])
        chunks = ide.say("read a.py", agent_type="coder")
        assert error_of(chunks) is None
        assert [c["call_id"].isprintable() for c in of_type(chunks, "tool_call")] == [True]


def test_a_result_may_hold_any_integer(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    for number, result in enumerate((10**30, {"lines": [1, -(2**65)]}, 2**64 - 1)):
        stub.script([{"tool": "read_file", "args": {"path": "a.py"}, "id": f"call_{number}"}, {"text": "Read."}])
        ide.say("read a.py", agent_type="coder")
        assert answer_of(ide.result(f"call_{number}", result)) == "Read."
        assert json.loads(ide.tool_messages()[f"call_{number}"]) == result


def test_edited_arguments_that_no_checkpoint_holds_are_refused(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "execute_command", "args": {"command": "make", "timeout": 5}, "id": "call_1"}])
    ide.say("make", agent_type="coder")
    edited = {"command": "make", "timeout": 2**70}
    assert error_of(ide.decide("call_1", "edit", modified_arguments=edited)) == "decision_invalid"
    assert ide.pending() == ["call_1"]
