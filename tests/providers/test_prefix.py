"""What makes a server's cache of a prompt useless is seen by the check that every conversation of a family passes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.conversation import CONVERSATIONS, converse
from tests.providers.provider import Json, Provider, changed_prefix

SYSTEM: Json = {"role": "system", "content": "You write code."}
ASKED: Json = {"role": "user", "content": "Read it."}
TOOLS: list[Json] = [{"type": "function", "function": {"name": "read_file"}}]
BEFORE: Json = {"messages": [SYSTEM, ASKED], "tools": TOOLS}


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ({"messages": [SYSTEM, ASKED, {"role": "assistant", "content": "ok"}], "tools": TOOLS}, None),
        ({"messages": [SYSTEM, {**ASKED, "content": "Read it.\n\nNow."}], "tools": TOOLS}, None),
        ({"messages": [{**SYSTEM, "content": "At 10:01."}, ASKED], "tools": TOOLS}, "message 0"),
        ({"messages": [dict(reversed(SYSTEM.items())), ASKED], "tools": TOOLS}, "message 0"),
        ({"messages": [SYSTEM, ASKED], "tools": [*TOOLS, *TOOLS]}, "declarations"),
        ({"messages": [], "tools": TOOLS}, "length"),
    ],
)
def test_a_changed_beginning_is_named(after: Json, changed: str | None) -> None:
    provider = Provider()
    provider.taken = [(0, BEFORE), (0, after)]
    found: Any = changed_prefix(provider)
    assert found is None if changed is None else changed in found
    provider.taken = [(0, BEFORE), (1, after)]
    assert changed_prefix(provider) is None, "written otherwise after a refusal"


async def test_three_turns_with_tools_share_their_beginning() -> None:
    with Provider() as provider:
        await converse(provider, CONVERSATIONS["asks and writes"])
    assert len(provider.taken) == 6
    assert changed_prefix(provider) is None
