"""A model that is down, slow, flapping or talking nonsense under fifty sessions: every turn ends with a clear chunk.

`uv run python -m benchmarks.soak --only model-down model-slow model-flapping model-nonsense` takes a minute for each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.model_trouble import TROUBLES, suffer
from tests.openai_stub import OpenAIStub

SECONDS = 2.5


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_every_turn_ends_clearly_while_the_model_is_in_trouble(
    trouble: str, stub: OpenAIStub, tmp_path: Path
) -> None:
    (await suffer(f"sqlite:///{tmp_path}/x.db", stub, trouble, SECONDS)).show()
