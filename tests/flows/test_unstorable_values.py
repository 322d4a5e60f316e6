"""Values that no checkpoint can hold: the model is told, a client is refused, and the session goes on."""

from __future__ import annotations

from collections.abc import Callable

from tests.ide import STREAM, Ide, answer_of, error_of, of_type, outcome_of
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


def test_a_result_that_cannot_be_kept_is_refused(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "read_file", "args": {"path": "a.py"}, "id": "call_1"}, {"text": "Read."}])
    ide.say("read a.py", agent_type="coder")
    body = b'{"session_id": "%s", "protocol_version": 2, "message": ' % ide.session_id.encode()
    body += b'{"type": "tool_result", "call_id": "call_1",'
    headers = {"content-type": "application/json"}
    for value in (b"123456789012345678901234567890", b'{"lines": [1, -36893488147419103232]}'):
        refused = ide.client.post(STREAM, content=body + b' "result": %s}}' % value, headers=headers)
        assert refused.status_code == 422, refused.text
        assert "64 bits" in refused.json()["detail"][0]["msg"]
    assert answer_of(ide.result("call_1", 2**64 - 1)) == "Read."
