"""Tools of every kind in one turn: who runs them, who may use them, and that each call is answered once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.roster import AGENTS, ROSTER
from tests.ide import Ide, answer_of, of_type, outcome_of
from tests.openai_stub import OpenAIStub
from tools.catalog import BY_NAME

Serve = Callable[..., Ide]
ASKS_ABOUT_ECHO = """
version = 1

[[rule]]
id = "no-echo"
tool = "echo"
decision = "ask"
why = "Say it yourself."
"""


def test_local_tools_never_reach_the_client(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(multi_agent_mode=False)
    stub.script(
        [
            {"tool": "calculator", "args": {"expr": "6 * 7"}, "id": "c1"},
            {"tool": "echo", "args": {"text": "привет"}, "id": "c2"},
            {"tool": "calculator", "args": {"expr": "__import__('os')"}, "id": "c3"},
            {"text": "42"},
        ]
    )
    chunks = ide.say("compute")
    assert of_type(chunks, "tool_call") == []
    assert answer_of(chunks) == "42"
    told = [m["content"] for m in ide.history() if m["role"] == "tool"]
    assert told[:2] == ["42", "привет"]
    assert told[2].startswith("Error: ")


def test_a_rule_that_asks_about_a_local_tool_is_a_denial(serve: Serve, stub: OpenAIStub, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(ASKS_ABOUT_ECHO)
    ide = serve(policy_file=rules, multi_agent_mode=False)
    calls = [{"tool": "echo", "args": {"text": "said"}, "id": "c1"}, {"tool": "calculator", "args": {"expr": "6 * 7"}}]
    stub.script([{"tools": calls}, {"text": "done"}])
    chunks = ide.say("say it")
    assert (of_type(chunks, "tool_call"), answer_of(chunks)) == ([], "done")
    told = {m["tool_call_id"]: m["content"] for m in ide.history() if m["role"] == "tool"}
    assert "nobody is asked about a tool that the runtime carries out (Say it yourself.)" in told.pop("c1")
    assert list(told.values()) == ["42"]


def test_a_mixed_round_is_answered_once_each(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(multi_agent_mode=False)
    calls = [
        {"tool": "echo", "args": {"text": "e"}, "id": "local"},
        {"tool": "read_file", "args": {"path": "a"}, "id": "read"},
        {"tool": "write_file", "args": {"path": "b", "content": "x"}, "id": "write"},
        {"tool": "read_file", "args": {"path": ".."}, "id": "denied"},
        {"tool": "attempt_completion", "args": {"result": "All done."}, "id": "finish"},
    ]
    stub.script([{"tools": calls}])
    chunks = ide.say("do it all")
    assert [c["call_id"] for c in of_type(chunks, "tool_call")] == ["read", "write"]
    assert outcome_of(chunks) == "awaiting_approval"
    assert outcome_of(ide.send({"type": "hitl_decision", "call_id": "write", "decision": "approve"})) == "awaiting_tool"
    assert of_type(ide.result("write", "ok"), "status")[0]["metadata"]["open_calls"] == ["read"]
    assert answer_of(ide.result("read", "ok")) == "All done."
    history = ide.history()
    answered = [m["tool_call_id"] for m in history if m["role"] == "tool"]
    assert sorted(answered) == sorted(str(c["id"]) for c in calls)
    stub.script([{"text": "fine"}])
    assert answer_of(ide.say("thanks")) == "fine"
    assert stub.violations == []


@pytest.mark.parametrize("agent", [a.name for a in AGENTS if a.name not in ("orchestrator", "universal")])
def test_only_the_agents_own_tools_are_offered(serve: Serve, stub: OpenAIStub, agent: str) -> None:
    ide = serve()
    stub.script([{"text": "ok"}])
    ide.say("hello", agent_type=agent)
    offered = {tool["function"]["name"] for tool in stub.last_agent_request["tools"]}
    assert offered == {name for name in ROSTER[agent].tools if not BY_NAME[name].declared or BY_NAME[name].made_of}


@pytest.mark.parametrize("tool", ["write_file", "execute_command", "create_plan", "no_such_tool"])
def test_a_tool_that_was_not_offered_does_not_run(serve: Serve, stub: OpenAIStub, tool: str) -> None:
    ide = serve()
    args = {"path": "a", "content": "b"} if tool == "write_file" else {"command": "ls"}
    stub.script([{"tool": tool, "args": args, "id": "bad"}, {"text": "I may not."}])
    chunks = ide.say("explain", agent_type="ask")
    assert of_type(chunks, "tool_call") == []
    assert of_type(chunks, "status")[0]["metadata"]["status"] == "denied"
    assert answer_of(chunks) == "I may not."


def test_the_same_call_again_and_again_ends_the_turn(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(multi_agent_mode=False)
    stub.script([{"tool": "echo", "args": {"text": "again"}, "id": f"c{n}"} for n in range(9)])
    chunks = ide.say("loop")
    error = of_type(chunks, "error")[0]["metadata"]
    assert (error["code"], error["limit"]) == ("limit_reached", "repeated_call")
    assert stub.agent_calls == 5
    told = [m["content"] for m in ide.history() if m["role"] == "tool"]
    assert told[:2] == ["again", "again"]
    assert "again and again" in told[2]


def test_model_calls_of_a_turn_are_bounded(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(max_model_calls_per_turn=4, multi_agent_mode=False)
    stub.script([{"tool": "echo", "args": {"text": str(n)}, "id": f"c{n}"} for n in range(9)])
    error = of_type(ide.say("loop"), "error")[0]["metadata"]
    assert (error["code"], error["limit"]) == ("limit_reached", "max_model_calls_per_turn")
    assert stub.agent_calls == 4


def test_an_edit_is_offered_where_the_client_declares_it_and_asked_like_a_write(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    declared = {"tools": ["edit_file", "glob", "paint"], "shell": "bash"}
    arguments = {"path": "lib/a.py", "old": "one", "new": "two"}
    stub.script([{"tool": "edit_file", "args": arguments, "id": "e1"}, {"text": "Changed."}])
    call = of_type(ide.say("change it", agent_type="coder", environment=declared), "tool_call")[0]
    assert (call["tool_name"], call["arguments"], call["requires_approval"]) == ("edit_file", arguments, True)
    names = [tool["function"]["name"] for tool in stub.last_agent_request["tools"]]
    assert {"edit_file", "glob"} <= set(names)
    assert "paint" not in names
    ide.decide("e1", "approve")
    assert answer_of(ide.result("e1", {"success": True, "replaced": 1, "sha256": "0" * 64})) == "Changed."


def test_an_edit_of_a_client_that_did_not_declare_it_is_denied(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"tool": "glob", "args": {"pattern": "*"}, "id": "g1"}, {"text": "Without it, then."}])
    chunks = ide.say("find it", agent_type="coder")
    assert of_type(chunks, "tool_call") == []
    assert answer_of(chunks) == "Without it, then."
    told = [m["content"] for m in ide.history() if m["role"] == "tool"]
    assert told == ["Tool 'glob' is not allowed for Coder agent"]
    assert "glob" not in [tool["function"]["name"] for tool in stub.last_agent_request["tools"]]
