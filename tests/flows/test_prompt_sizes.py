"""Which prompt goes out: by setting, by the model's name, and what the protocol version allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ide import Ide, answer_of, of_type
from tests.openai_stub import OpenAIStub

Serve = Callable[..., Ide]
READS = {"tools": [{"tool": "read_file", "args": {"path": path}, "id": path} for path in ("a.py", "b.py")]}


def system_prompt(stub: OpenAIStub) -> str:
    return str(stub.last_agent_request["messages"][0]["content"])


@pytest.mark.parametrize(
    ("settings", "version", "is_concise", "several"),
    [
        ({}, 2, False, False),
        ({"prompt_size": "concise"}, 2, True, True),
        ({"prompt_size": "concise"}, 1, True, False),
        ({"llm_model": "gpt-5"}, 2, True, True),
        ({"llm_model": "gpt-5", "prompt_size": "guided"}, 2, False, False),
    ],
)
def test_the_prompt_and_the_number_of_calls(
    serve: Serve, stub: OpenAIStub, settings: dict[str, Any], version: int, is_concise: bool, several: bool
) -> None:
    ide = serve(**settings)
    ide.version = version
    stub.script([{"text": "Hello."}])
    ide.say("hello", agent_type="coder")
    assert ("keep going until" in system_prompt(stub)) is is_concise
    assert ("go together in one reply" in system_prompt(stub)) is several
    assert stub.last_agent_request.get("parallel_tool_calls", True) is several


def test_reads_of_one_reply_are_offered_together(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve(prompt_size="concise")
    stub.script([READS, {"text": "Read."}])
    calls = of_type(ide.say("compare them", agent_type="coder"), "tool_call")
    assert [call["call_id"] for call in calls] == ["a.py", "b.py"]
    ide.result("b.py", "2")
    assert answer_of(ide.result("a.py", "1")) == "Read."


def test_the_declared_environment_is_in_the_prompt(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([{"text": "Hello."}])
    declared = {"os": "linux", "shell": "zsh", "workspace_root": "/w", "has_git": True}
    state = {"staged": 1, "modified": 0, "conflicted": 0, "untracked": 2, "upstream": "o/x", "ahead": 3, "behind": 1}
    declared |= {"git_branch": "topic/x", "git_state": state, "date": "2026-11-21"}
    ide.say("hello", agent_type="coder", environment=declared)
    for line in (
        "- Shell: zsh",
        "- Git repository: yes, on branch topic/x",
        "- Git work tree at the start: 1 staged, 2 untracked",
        "- Commits at the start: 3 ahead of o/x, 1 behind",
        "- Date: 2026-11-21",
    ):
        assert line in system_prompt(stub)
