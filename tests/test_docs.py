"""The documentation names what the code has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.models import CommandInfo

from agents.roster import AGENTS
from cli import app
from settings import PREFIX, Settings
from tools.catalog import TOOLS

ROOT = Path(__file__).parent.parent


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def documented_settings() -> set[str]:
    return set(re.findall(r"^\| `([A-Z_]+)` \|", read("docs/settings.md"), re.MULTILINE))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_its_line(name: str) -> None:
    assert name.upper() in documented_settings()


def test_no_setting_is_documented_that_is_gone() -> None:
    assert documented_settings() == {name.upper() for name in Settings.model_fields}


def test_documented_defaults_are_true() -> None:
    defaults = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`|none) \|", read("docs/settings.md"), re.MULTILINE))
    settings = Settings.load()
    for name, documented in defaults.items():
        value = getattr(settings, name.lower())
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, float):
            value = f"{value:g}"
        assert ("" if value is None else str(value)) == documented, name


def test_the_example_environment_loads() -> None:
    lines = [line.lstrip("# ") for line in read(".env.example").splitlines() if PREFIX in line]
    for line in lines:
        name, _, value = line.partition("=")
        chosen: dict[str, Any] = {name.removeprefix(PREFIX).lower(): value}
        Settings.load(**chosen)


@pytest.mark.parametrize("path", ["README.md", "ARCHITECTURE.md"])
def test_links_lead_somewhere(path: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", read(path))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def rows(path: str) -> list[str]:
    """The first cell of each table row of a page."""
    return re.findall(r"^\| (.+?) +\|", read(path), re.MULTILINE)


def words(text: str) -> set[str]:
    """What stands between backticks, each word on its own."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()}


def folders() -> set[str]:
    """Every root module, every package and every folder of modules in one, as ARCHITECTURE.md writes them."""
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    folders = {*packages, *(file.parent for package in packages for file in package.glob("*/*.py"))}
    return {f"{folder.relative_to(ROOT)}/" for folder in folders} | {path.name for path in ROOT.glob("*.py")}


def test_every_folder_has_its_own_row_in_the_architecture() -> None:
    named = [re.fullmatch(r"`([\w./]+)`", cell) for cell in rows("ARCHITECTURE.md")]
    found = Counter(match[1] for match in named if match)
    assert folders() - set(found) == set(), "give each its own row in ARCHITECTURE.md"
    assert [name for name in found if not (ROOT / name).exists()] == []
    assert [name for name, times in found.items() if times > 1] == []


def test_every_module_in_a_row_of_the_architecture_exists() -> None:
    """A module in a row is below the folder of the row, or its path begins at the root."""
    found = re.findall(r"^\| `([\w./]+)` \| (.+) \|$", read("ARCHITECTURE.md"), re.MULTILINE)
    modules = [(folder, module) for folder, cell in found for module in re.findall(r"`([\w./]+\.(?:py|toml))`", cell)]
    assert modules
    assert [name for folder, name in modules if not any((ROOT / base / name).exists() for base in (folder, ""))] == []


def test_no_level_of_the_tree_has_too_many_modules() -> None:
    """At most twelve modules in a folder, or a reason in its row of the architecture."""
    counts = Counter(path.parent for package in ROOT.glob("*/__init__.py") for path in package.parent.rglob("[!_]*.py"))
    crowded = {
        f"{folder.relative_to(ROOT)}/"
        for folder, count in counts.items()
        if count > 13 and folder.relative_to(ROOT).parts[0] != "tests"
    }
    reasons = set(re.findall(r"^\| `([\w./]+/)` \| [^|]*\bper\b[^|]*\|$", read("ARCHITECTURE.md"), re.MULTILINE))
    assert crowded - reasons == set(), "say in ARCHITECTURE.md that it has one module per item, or divide it"


def test_no_module_has_over_400_lines() -> None:
    modules = [path for path in ROOT.rglob("*.py") if is_ours(path) and path.relative_to(ROOT).parts[0] != "tests"]
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_readme_lists_the_commands() -> None:
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    commands = {_name(command) for command in app.registered_commands}
    commands |= {f"{name} {_name(c)}" for name, group in groups.items() if group for c in group.registered_commands}
    told = {re.match(r"`agent-runtime ([a-z][a-z-]*(?: [a-z][a-z-]*)*)", cell) for cell in rows("README.md")}
    assert {match[1] for match in told if match} == commands


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


def test_readme_names_every_agent_and_tool() -> None:
    readme = read("README.md")
    assert {agent.name for agent in AGENTS} - set(re.findall(r"\*\*(\w+)\*\*", readme)) == set()
    assert {tool.name for tool in TOOLS} - words(readme) == set()


def test_the_graph_in_the_readme_is_the_graph() -> None:
    from graph.builder import build_graph

    drawn = set(re.findall(r"(\w+) -\.?->? ", build_graph().get_graph().draw_mermaid()))
    shown = re.search(r"```mermaid\n(.*?)```", read("README.md"), re.DOTALL)
    assert shown is not None
    assert drawn - {"__start__", "__end__"} <= set(re.findall(r"\w+", shown[1]))


def test_ci_runs_the_readme_tests_word_for_word() -> None:
    commands = re.findall(r"```sh\n(.*?)```", read("README.md"), re.DOTALL)
    run = read(".ci/run").splitlines()
    missing = [
        c for c in commands[1].strip().splitlines() if not any(re.search(rf"(^| ){re.escape(c)}$", r) for r in run)
    ]
    assert missing == []


SCENARIO = re.compile(r"^\| (S\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
NAMED_SCENARIO = re.compile(r"\bS([1-9]\d?)(?:-S([1-9]\d?))?\b")


def test_every_scenario_is_explained_once_and_names_its_tests() -> None:
    rows = SCENARIO.findall(read("docs/scenarios.md"))
    assert [number for number, _ in rows] == [f"S{n}" for n in range(1, len(rows) + 1)]
    tests = [path for _, cell in rows for path in re.findall(r"`([^`]+)`", cell)]
    assert all(re.search(r"`tests/[^`]+`", cell) for _, cell in rows)
    assert [path for path in tests if not (ROOT / path).is_file()] == []


def test_every_scenario_that_the_code_names_is_explained() -> None:
    explained = {number for number, _ in SCENARIO.findall(read("docs/scenarios.md"))}
    files = [path for name in ("*.py", "*.md") for path in ROOT.rglob(name) if is_ours(path)]
    unknown = []
    for path in files:
        for first, last in NAMED_SCENARIO.findall(path.read_text(encoding="utf-8")):
            named = range(int(first), int(last or first) + 1)
            unknown += [f"{path.relative_to(ROOT)}: S{n}" for n in named if f"S{n}" not in explained]
    assert len(files) > 100
    assert unknown == []


def is_ours(path: Path) -> bool:
    """Whether a file is part of this repository, not of its environment or of what a run left behind."""
    parts = path.relative_to(ROOT).parts
    return not any(part.startswith(".") or part in ("data", "build", "dist", "node_modules") for part in parts)
