"""The tools: their schemas are closed and exact, the local ones are safe, the roster names none that is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.roster import AGENTS, CHECKED_TOOLS, Agent, check_roster
from errors import ConfigurationError
from tools.calculator import evaluate
from tools.catalog import TOOLS
from tools.tool import Tool

ORDER = [
    "echo",
    "calculator",
    "switch_mode",
    "read_file",
    "write_file",
    "list_files",
    "create_directory",
    "execute_command",
    "search_in_code",
    "edit_file",
    "glob",
    "attempt_completion",
    "ask_followup_question",
    "create_plan",
]


def test_all_in_the_order_of_the_protocol() -> None:
    assert [tool.name for tool in TOOLS] == ORDER


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_further_tools_are_offered_only_where_the_client_declares_them(agent: Agent) -> None:
    offered = {tool.name for tool in agent.offered()}
    assert "glob" not in offered
    assert {tool.name for tool in agent.offered(declared=frozenset({"edit_file", "glob", "other"}))} - offered == {
        "glob"
    }


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_edits_are_offered_to_every_agent_that_reads_and_writes_files(agent: Agent) -> None:
    assert ("edit_file" in {tool.name for tool in agent.offered()}) is (agent.writes != "none")
    for part in ("read_file", "write_file"):
        without = replace(agent, tools=agent.tools - {part})
        assert "edit_file" not in {tool.name for tool in without.offered()}
        assert ("edit_file" in {tool.name for tool in without.offered(declared=frozenset({"edit_file"}))}) is (
            agent.writes != "none"
        )


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_are_closed(tool: Tool) -> None:
    assert tool.parameters["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("read_file", {"path": "a"}, None),
        ("read_file", {}, "'path' is a required property"),
        ("read_file", {"path": 5}, "path: 5 is not of type 'string'"),
        ("read_file", {"path": "a", "mode": "r"}, "Additional properties are not allowed"),
        ("read_file", {"path": "a", "start_line": 0}, "start_line: 0 is less than the minimum of 1"),
        ("execute_command", {"command": "ls", "timeout": 301}, "timeout: 301 is greater than the maximum of 300"),
        ("ask_followup_question", {"question": "?", "suggestions": ["a"]}, "suggestions: ['a'] is too short"),
        ("switch_mode", {"mode": "universal"}, "mode: 'universal' is not one of"),
        ("create_plan", {"title": "t", "description": "d", "subtasks": []}, "subtasks: [] should be non-empty"),
    ],
)
def test_arguments_are_checked_strictly(name: str, arguments: dict[str, object], problem: str | None) -> None:
    found = CHECKED_TOOLS[name].misfit(arguments)
    assert found == problem if problem is None else (found or "").startswith(problem)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 * (3 + 4)", "14"),
        ("7 // 2", "3"),
        ("2 ** 10", "1024"),
        ("sqrt(16) / 3", "1.3333333333333333"),
        ("1 < 2", "True"),
    ],
)
def test_calculator_computes(expression: str, value: str) -> None:
    assert evaluate({"expr": expression}) == value


@pytest.mark.parametrize(
    "expression",
    ["", "__import__('os')", "9**9**9", "1/0", "'a' * 3", "[1] * 10", "x", "(1).__class__", "a" * 2000, "(lambda: 1)()",
     "open('x')", "1 << 99999999", "10 ** 5000", "-" * 999 + "1"],
)  # fmt: skip
def test_calculator_refuses(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        evaluate({"expr": expression})


def test_a_roster_that_names_an_unknown_tool_stops_the_start() -> None:
    broken = replace(AGENTS[1], tools=AGENTS[1].tools | {"teleport"})
    with pytest.raises(ConfigurationError, match=r"'coder' names the tool 'teleport'"):
        check_roster((*AGENTS, broken))
