"""The documentation names what the code has, and sentences are in plain technical words."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.models import CommandInfo

from agents.roster import AGENTS
from benchmarks.performance.goals import goals
from benchmarks.performance.report import page_of
from cli import app
from settings import PREFIX, Settings
from tests.tracked import tracked_files
from tools.catalog import TOOLS

ROOT = Path(__file__).parent.parent


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def documented_settings() -> set[str]:
    return set(re.findall(r"^\| `([A-Z_]+)` \|", read("docs/settings.md"), re.MULTILINE))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_its_line(name: str) -> None:
    assert name.upper() in documented_settings()


def test_the_page_of_figures_is_what_its_figures_and_the_findings_make() -> None:
    assert page_of(json.loads(read("docs/performance.json"))) == read("docs/performance.md")


def test_each_missed_goal_of_performance_has_its_paragraph() -> None:
    missed = {goal.topic for goal in goals(json.loads(read("docs/performance.json"))) if not goal.is_reached}
    findings = read("benchmarks/performance/findings.md").partition("## What is not reached")[2]
    assert not {topic for topic in missed if f"- **{topic}.**" not in findings}


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


def test_links_lead_somewhere() -> None:
    pages = [Path(name) for name in tracked_files() if name.endswith(".md") and (ROOT / name).exists()]
    links = [(page, target) for page in pages for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", read(str(page)))]
    assert len(links) > 50
    assert [(str(page), target) for page, target in links if not (ROOT / page.parent / target).exists()] == []


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
    """At most thirteen modules in a folder, or a reason of its own in its row of the architecture."""
    counts = Counter(path.parent for package in ROOT.glob("*/__init__.py") for path in package.parent.rglob("[!_]*.py"))
    crowded = {
        f"{folder.relative_to(ROOT)}/"
        for folder, count in counts.items()
        if count > 13 and folder.relative_to(ROOT).parts[0] != "tests"
    }
    found = re.findall(r"^\| `([\w./]+/)` \| (.+) \|$", read("ARCHITECTURE.md"), re.MULTILINE)
    of_their_own = {folder: re.sub(r"[^,;:]*`[\w.]+/`[^,;:]*", "", text) for folder, text in found}
    reasons = {folder for folder, text in of_their_own.items() if re.search(r"\bone [^,;:]* per\b", text)}
    assert "tools/" in reasons
    assert crowded - reasons == set(), "say in ARCHITECTURE.md that it has one module per item, or divide it"


def test_no_module_has_over_400_lines() -> None:
    modules = [path for path in ROOT.rglob("*.py") if is_ours(path)]
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

    drawn = re.search(r"```mermaid\n(.*?)```", read("README.md"), re.DOTALL)
    assert drawn is not None
    chains = [re.sub(r"[(\[].*?[)\]]+", "", line).split(" -.-> ") for line in drawn[1].splitlines()]
    edges = Counter((first.strip(), second.strip()) for chain in chains for first, second in pairwise(chain))
    assert edges == Counter((edge.source, edge.target) for edge in build_graph().get_graph().edges)


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


AVOIDED = {
    "anew": "again",
    "desk": "fake workspace",
    "door": "entry point",
    "ear": "listener",
    "gave up": "stopped, cancelled",
    "give up": "stop, cancel",
    "gives up": "stops, cancels",
    "insist": "reprompt",
    "insisted": "reprompted",
    "insisting": "reprompting",
    "nobody looked at": "without approval",
    "nobody looks at": "without approval",
    "nudge": "reprompt",
    "room": "package, folder, space",
    "stranger": "untrusted",
}
"""Words that are avoided in names, comments, docstrings, messages and documents, each with what to write instead."""

EXEMPT = {"tests/test_docs.py", "CHANGELOG.md", "storage/migrations", "prompts", "tests/chaos"}
"""This list, old names, revisions (never edited), texts for models, and the tests of faults (kept word for word)."""

_AVOIDED = re.compile(rf"\b({'|'.join(AVOIDED)})s?\b", re.IGNORECASE)
_REFERENCE = re.compile(r"docs/([\w-]+)\.md, ([^)\n;:]+)\)")


def test_no_avoided_word_is_used() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]} (write: {AVOIDED[word]})"
        for path in _files("*.py", "*.md", "*.sql", "*.toml", "*.yml", "*.yaml", "*.sh")
        if _AVOIDED.search(_split(path.read_text(encoding="utf-8")))
        for line, text in _texts(path)
        for match in _AVOIDED.finditer(text)
        if (word := _singular(match[1].lower()))
    ]
    assert found == []


def test_no_docstring_only_points_elsewhere() -> None:
    found = []
    for path in _files("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if '"""See ' in source else ():
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if re.match(r"See [A-Z`]", text):
                    found.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert found == []


def test_references_to_documents_name_a_heading() -> None:
    references = [
        (path, page, heading.strip('`" ').lower())
        for path in _files("*.py")
        for page, named in _REFERENCE.findall(path.read_text(encoding="utf-8"))
        for heading in re.split(r" and |, ", named)
    ]
    headings = {page: _headings(page) for page in {page for _, page, _ in references}}
    assert len(references) > 20
    missing = [(path, page, heading) for path, page, heading in references if heading not in headings[page]]
    assert [f"{path.relative_to(ROOT)}: {page}.md, {heading}" for path, page, heading in missing] == []


def test_references_name_no_numbered_section_() -> None:
    numbered = re.compile(r"(?:protocol|policy)(?:\.md)?`?,? (?:sections? \d|S\d)|\(sections? \d")
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in _files("*.py", "*.sql", "*.toml", "*.md")
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := numbered.search(text))
    ]
    assert found == []


def _headings(page: str) -> set[str]:
    """The headings of a page and the first cells of its tables, in lower case."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").lower()
    return set(re.findall(r"^(?:#+|\|) `?([^`|\n]+?)`?(?: \|.*)?$", text, re.MULTILINE))


def _files(*patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in ROOT.rglob(pattern) if is_ours(path)]
    return [path for path in found if not any(path.relative_to(ROOT).as_posix().startswith(name) for name in EXEMPT)]


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of what is read by people; in tests no strings but docstrings: those are data."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), start=1)
        return
    is_test = path.relative_to(ROOT).parts[0] == "tests"
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], _split(token.string)
        elif token.type == tokenize.COMMENT or (
            tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
            and (not is_test or token.string.startswith('"""'))
        ):
            yield token.start[0], token.string


def _split(names: str) -> str:
    """Write the words of names apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", names).replace("_", " ")


def _singular(word: str) -> str:
    return word if word in AVOIDED else word.removesuffix("s")
