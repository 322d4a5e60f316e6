"""What a tool states about itself, and what is taken for granted where it states nothing."""

from __future__ import annotations

from typing import Any

import pytest

from errors import ConfigurationError
from tools.tool import PathArgument, Tool, arguments_schema


def tool(properties: dict[str, Any], **stated: Any) -> Tool:
    schema = arguments_schema(properties, required=list(properties))
    return Tool(name="invented", description="An invented tool.", parameters=schema, **stated)


TEXT = {"type": "string"}


def test_a_tool_that_states_nothing_writes_and_asks() -> None:
    silent = tool({"path": TEXT})
    assert (silent.runs, silent.access, silent.default, silent.changes_files) == ("client", "write", "ask", True)
    assert (silent.refetch, silent.command, silent.text) == (None, None, None)


@pytest.mark.parametrize("name", ["path", "old_path", "targetFile", "file_name", "filename", "source", "dest", "path2"])
def test_an_argument_named_like_a_file_is_a_path(name: str) -> None:
    assert tool({name: TEXT}).path_arguments({name: "x"}) == [PathArgument(name, "file", "x")]


@pytest.mark.parametrize("name", ["directory", "work_dir", "cwd", "outputFolder", "root"])
def test_an_argument_named_like_a_folder_is_a_folder(name: str) -> None:
    assert tool({name: TEXT}).path_arguments({name: "x"}) == [PathArgument(name, "directory", "x")]


@pytest.mark.parametrize("name", ["content", "file_content", "query", "message", "pathology"])
def test_other_arguments_are_no_paths(name: str) -> None:
    assert tool({name: TEXT}).path_arguments({name: "x"}) == []


def test_paths_are_found_in_lists_and_objects() -> None:
    moved = {"moves": [{"from": "a", "to": ".git/config"}], "paths": ["b", "c"], "files": {".env": "text"}}
    found = {(p.name, p.value) for p in tool({"moves": {}, "paths": {}, "files": {}}).path_arguments(moved)}
    assert found == {("from", "a"), ("to", ".git/config"), ("paths", "b"), ("paths", "c"), ("files", ".env")}


def test_a_missing_path_is_judged_by_its_default_or_as_missing() -> None:
    assert tool({"path": TEXT}).path_arguments({}) == [PathArgument("path", "file", None)]
    searched = tool({"path": {"type": "string", "default": "."}}, access="read", paths={"path": "directory"})
    assert searched.path_arguments({}) == [PathArgument("path", "directory", ".")]


def test_globs_are_told_by_name_where_no_paths_are_stated() -> None:
    silent = tool({"file_pattern": TEXT, "query": TEXT})
    assert silent.glob_arguments({"file_pattern": "*.pem", "query": "x"}) == [("*.pem", "content")]


def test_a_command_is_told_by_name_but_only_a_stated_one_is_proven() -> None:
    assert tool({"cmd": TEXT}).command_argument == "cmd"
    assert tool({"cmd": TEXT}).command is None
    assert tool({"cmd": TEXT}, access="read").command_argument is None


def test_agents_are_filled_in_at_any_depth() -> None:
    step = {"type": "object", "properties": {"agent": TEXT}}
    planned = tool({"steps": {"type": "array", "items": step}}, agent_argument="agent").naming_agents(["coder", "ask"])
    assert planned.misfit({"steps": [{"agent": "ask"}]}) is None
    assert planned.misfit({"steps": [{"agent": "nobody"}]}) is not None


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"runs": "local", "access": "none"}, "`execute`"),
        ({"runs": "virtual", "access": "none"}, "`effect`"),
        ({"runs": "local", "execute": str}, "access must be none"),
        ({"paths": {"file": "file"}}, "no argument 'file'"),
        ({"command": "cmd"}, "no argument 'cmd'"),
    ],
)
def test_statements_that_contradict_each_other_stop_the_start(stated: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        tool({"path": TEXT}, **stated)
