"""The golden scenarios, over real HTTP, on both databases, with a real model server that plays each script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from settings import PREFIX
from tests.openai_stub import OpenAIStub
from tests.protocol.scenario import Scenario
from tests.servers import Serve

FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.json"))


def settings_of(script: dict[str, Any]) -> dict[str, Any]:
    """The settings of the server that a scenario wants."""
    return {key.removeprefix(PREFIX).lower(): value for key, value in script.get("config", {}).items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "plain"])
def test_scenario_as_specified(file: Path, streaming: bool, shared: Serve, stub: OpenAIStub) -> None:
    script = json.loads(file.read_text(encoding="utf-8"))
    stub.streaming = streaming
    Scenario(script, shared(**settings_of(script)), stub).play()


def test_every_scenario_is_here() -> None:
    assert len(FILES) == 25
