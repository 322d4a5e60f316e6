"""Every wait of the server has a bound, and docs/durability.md lists it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.connection import ClientLimits

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
FOLDERS = ("runs", "storage", "api", "llm", "telemetry", "serving")
MODULES = [
    *(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py")),
    ROOT / "server.py",
]
WAITS = re.compile(r"^(_?[A-Z][A-Z_]*_(?:S|MS)) = ([\d._]+)", re.MULTILINE)
NO_WAITS = {"MAX_ROUND_TRIP_S", "WINDOW_S", "RETRY_AFTER_S"}
"""What is believed, counted, or told to a client: nothing waits for it."""
WAITING = {"sleep", "timeout", "wait", "wait_for"}
BOUNDS = {"timeout", "connect_timeout", "reconnect_timeout"}


def waits(module: Path) -> list[tuple[str, str]]:
    found = WAITS.findall(module.read_text(encoding="utf-8"))
    return [(name, value) for name, value in found if name not in NO_WAITS]


@pytest.mark.parametrize("module", [str(m.relative_to(ROOT)) for m in sorted(MODULES) if waits(m)])
def test_every_wait_is_listed_with_its_bound(module: str) -> None:
    for name, value in waits(ROOT / module):
        seconds = float(value) / (1000 if name.endswith("_MS") else 1)
        told = [float(bound) for bound in re.findall(rf"`{name}` ([\d.]+) s", PAGE)]
        assert told, f"docs/durability.md does not list {name} of {module}"
        assert seconds in told, f"{name} is {seconds:g} s in {module}"
        assert f"`{module}`" in PAGE, f"docs/durability.md does not say that {name} is in {module}"


def test_every_listed_wait_is_one_of_the_code() -> None:
    code = {name for module in MODULES for name, _ in WAITS.findall(module.read_text(encoding="utf-8"))}
    told = set(re.findall(r"`(_?[A-Z][A-Z_]*_(?:S|MS))`", PAGE))
    assert len(told) > 35
    assert told - code == set()


@pytest.mark.parametrize(("name", "seconds"), vars(ClientLimits()).items())
def test_every_wait_for_a_client_is_listed(name: str, seconds: float) -> None:
    assert f"`{name}` {seconds:g} s" in PAGE


def bare_numbers(module: Path) -> Iterator[str]:
    """Every call that waits for a number without a name, by its line."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        bounds = [word.value for word in node.keywords if word.arg in BOUNDS]
        if name in WAITING:
            bounds += node.args
        for bound in bounds:
            if isinstance(bound, ast.Constant) and isinstance(bound.value, int | float) and bound.value:
                yield f"line {node.lineno}: {bound.value}"


@pytest.mark.parametrize("module", [str(module.relative_to(ROOT)) for module in sorted(MODULES)])
def test_no_wait_is_a_bare_number(module: str) -> None:
    assert [*bare_numbers(ROOT / module)] == [], f"name the bound in {module}, and list it in docs/durability.md"


def test_bare_numbers_are_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("async def f():\n    await asyncio.sleep(3)\n    connect(timeout=2.5)\n    await sleep(0)\n")
    assert sorted(bare_numbers(module)) == ["line 2: 3", "line 3: 2.5"]
