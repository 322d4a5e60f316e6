"""The import arrow points down only, and every module of ours has its place on it."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from agent_runtime import ROOT_MODULES

ROOT = Path(__file__).parent.parent
LAYERS: list[set[str]] = [
    {"agent_runtime"},
    {"cli"},
    {"console", "evaluation"},
    {"client"},
    {"serving"},
    {"server"},
    {"api"},
    {"graph"},
    {"runs"},
    {"nodes"},
    {"agents"},
    {"context"},
    {"storage", "llm"},
    {"policy", "wire", "prompts", "routing", "state", "settings"},
    {"tools"},
    {"json_text", "logs", "telemetry"},
    {"errors"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
NOT_SHIPPED = {"tests", "benchmarks", "docs", "examples", "notebooks", "deploy", "data", "playground", "build", "dist"}
FORBIDDEN_BELOW = {"fastapi", "starlette", "psycopg", "psycopg_pool", "aiosqlite", "sqlite3", "aiosql"}


def own_names() -> set[str]:
    modules = {path.stem for path in ROOT.glob("*.py")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    return (modules | packages) - NOT_SHIPPED


def files_of(name: str) -> Iterator[Path]:
    if (ROOT / f"{name}.py").exists():
        yield ROOT / f"{name}.py"
    yield from (ROOT / name).rglob("*.py")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


def test_every_module_has_its_place() -> None:
    assert own_names() - set(RANK) == set(), "place the new module in LAYERS and in ARCHITECTURE.md"


def test_every_module_is_shipped_type_checked_and_known_to_the_start() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    shipped = {name.removesuffix(".py") for name in project["hatch"]["build"]["targets"]["wheel"]["only-include"]}
    checked = {*project["mypy"]["packages"], *project["mypy"]["modules"]} - NOT_SHIPPED
    assert (shipped, checked, {*ROOT_MODULES, "agent_runtime"}) == (own_names(), own_names(), own_names())


def test_imports_point_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name in sorted(own_names())
        for path in files_of(name)
        for target, line in imports_of(path)
        if target in RANK and target != name and RANK[target] <= RANK[name]
    ]
    assert wrong == []


def test_packages_keep_the_contract_of_import_linter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_inner_packages_know_no_server_and_no_database() -> None:
    outer = FORBIDDEN_BELOW | {"storage", "api", "wire", "runs", "server"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {target}"
        for name in ("graph", "nodes", "agents", "routing", "tools", "policy", "prompts", "state", "context")
        for path in files_of(name)
        for target, line in imports_of(path)
        if target in outer
    ]
    assert wrong == []


def test_no_installed_distribution_provides_a_name_of_ours() -> None:
    providers = importlib.metadata.packages_distributions()
    foreign = {
        name: providers[name]
        for name in own_names() & set(providers)
        if set(providers[name]) != {"codelab-agent-runtime"}
    }
    assert foreign == {}


def test_graph_init_is_empty() -> None:
    assert (ROOT / "graph" / "__init__.py").read_text(encoding="utf-8") == ""


def test_import_has_no_side_effects(tmp_path: Path) -> None:
    code = "import server, graph.studio, cli; import os; print(sorted(os.listdir('.')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stdout + done.stderr
