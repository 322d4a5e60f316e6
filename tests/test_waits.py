"""Every wait of the server has a bound, and docs/durability.md lists it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
MODULES = [*ROOT.glob("runs/**/*.py"), *ROOT.glob("storage/**/*.py"), *ROOT.glob("serving/*.py"), ROOT / "server.py"]
WAITS = re.compile(r"^([A-Z][A-Z_]*_(?:S|MS)) = ([\d._]+)", re.MULTILINE)
NO_WAITS = {"MAX_ROUND_TRIP_S"}
"""A limit of what is believed, not a wait."""


def waits(module: Path) -> list[tuple[str, str]]:
    found = WAITS.findall(module.read_text(encoding="utf-8"))
    return [(name, value) for name, value in found if name not in NO_WAITS]


@pytest.mark.parametrize("module", [str(m.relative_to(ROOT)) for m in sorted(MODULES) if waits(m)])
def test_every_wait_is_listed_with_its_bound(module: str) -> None:
    for name, value in waits(ROOT / module):
        seconds = float(value) / (1000 if name.endswith("_MS") else 1)
        told = re.search(rf"`{name}` ([\d.]+) s", PAGE)
        assert told is not None, f"docs/durability.md does not list {name} of {module}"
        assert float(told[1]) == seconds, f"{name} is {seconds:g} s in {module}"


def test_the_waits_are_found() -> None:
    assert sum(len(waits(module)) for module in MODULES) > 25
