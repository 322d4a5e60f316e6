"""The table of attacks in docs/policy.md and the threat model name tests that exist, and no attack is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.attacks import ATTACKS

ROOT = Path(__file__).parents[2]
HERE = "tests/hostile/test_obedient_model.py"
CLASSES = {
    *("project configuration", "typed ahead", "text becomes calls", "danger", "links", "option grammar"),
    *("git", "grants", "secrets", "Studio", "asked too often"),
}


@dataclass(frozen=True)
class Row:
    """One class of attacks: the tests of its parts, those through the terminal client, and the cases of this folder."""

    parts: list[str]
    client: list[str]
    cases: list[str]
    no_client: str


def rows() -> dict[str, Row]:
    page = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    table = page.partition("## Attacks and their tests\n")[2].partition("\n## ")[0]
    lines = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in table.splitlines() if line.startswith("| ")]
    assert {len(cells) for cells in lines} == {5}
    return {
        cells[0]: Row(paths(cells[3]), paths(cells[4]), re.findall(r"`([a-z-]+)`", cells[4]), cells[4])
        for cells in lines[1:]
    }


def paths(text: str) -> list[str]:
    return re.findall(r"`((?:tests|benchmarks)/[\w/]+(?:\.py)?)`", text)


def test_every_class_has_a_row_with_tests() -> None:
    assert rows().keys() >= CLASSES
    for name, row in rows().items():
        assert row.parts, name
        assert row.client or row.no_client.startswith("not part of it: "), name


def test_every_attack_is_named_in_the_row_of_its_class() -> None:
    table = rows()
    assert [attack.name for attack in ATTACKS if attack.name not in table[attack.kind].cases] == []
    assert {case for row in table.values() for case in row.cases} == {attack.name for attack in ATTACKS}
    assert [name for name, row in table.items() if row.cases and HERE not in row.client] == []


@pytest.mark.parametrize("page", ["docs/policy.md", "docs/threat-model.md"])
def test_named_tests_exist(page: str) -> None:
    named = paths((ROOT / page).read_text(encoding="utf-8"))
    assert len(named) > 10
    assert sorted({path for path in named if not (ROOT / path).exists()}) == []
