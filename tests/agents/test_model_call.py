"""What a model is told of its tools, and the hash by which a model call is known to have been told it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agents.model_call import declared, hash_of_tools
from tools.catalog import TOOLS
from tools.tool import Tool


def test_a_model_is_told_the_declarations_of_its_tools() -> None:
    assert json.loads(declared(TOOLS)) == [tool.declaration for tool in TOOLS]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_change_of_a_tool_changes_the_hash(tool: Tool) -> None:
    assert hash_of_tools([tool]) == hash_of_tools([replace(tool)])
    assert hash_of_tools([tool]) != hash_of_tools([replace(tool, description="Something else.")])
    assert hash_of_tools([tool]) != hash_of_tools([replace(tool, parameters={**tool.parameters, "required": ["x"]})])
