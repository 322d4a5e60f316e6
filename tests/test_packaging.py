"""The wheel and the start of the command: the version, what is shipped, and where Python takes our modules from."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from settings import Settings
from tests.client.terminal.person import COMMAND
from tests.test_arrow import own_names

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
START = "import agent_runtime, sys; sys.argv = ['agent-runtime', *sys.argv[1:]]; agent_runtime.main()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from this tree as `uv build` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def start(path: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_wheel_holds_our_modules_and_their_data_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {Path(name) for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert {name.parts[0].removesuffix(".py") for name in names} == own_names()
    data = {".sql", ".md", ".toml", ".jsonl", ".json"}
    kept = {path.relative_to(ROOT) for name in own_names() for path in (ROOT / name).rglob("*") if path.suffix in data}
    assert kept <= names


def test_the_wheel_cannot_be_uploaded_by_mistake(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert "Classifier: Private :: Do Not Upload\n" in wheel.read(metadata).decode()


def test_an_installed_wheel_starts(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for arguments, said in (
        (["version"], PROJECT["version"]),
        (["policy", "check", "read_file", '{"path": "a"}'], "allow"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", START, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_the_version_is_written_once() -> None:
    assert Settings.load().version == PROJECT["version"]
    written = f'"{PROJECT["version"]}"'
    again = [p.name for name in own_names() for p in (ROOT / name).rglob("*.py") if written in p.read_text("utf-8")]
    assert again == []


@pytest.mark.parametrize("stray", ["settings.py", "errors.py", "cli.py", "state.py", "tools/__init__.py", "wire.py"])
@pytest.mark.parametrize("path", ["absolute", "."])
def test_a_stray_module_on_the_path_is_one_clear_sentence(tmp_path: Path, stray: str, path: str) -> None:
    (tmp_path / stray).parent.mkdir(exist_ok=True)
    (tmp_path / stray).write_text("raise ImportError('the stray module ran')\n")
    done = start(str(tmp_path) if path == "absolute" else path, "version", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    name = stray.partition("/")[0].removesuffix(".py")
    assert f"the module '{name}' from {tmp_path / stray.removesuffix('/__init__.py')}" in sentence
    assert "PYTHONPATH" in sentence


def test_files_that_python_does_not_take_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("raise ImportError\n")
    assert start("", "version", cwd=tmp_path).returncode == 0  # the current folder is not on the path
    (tmp_path / "settings.py").unlink()
    (tmp_path / "tools").mkdir()  # a folder without __init__.py gives way to a package
    done = start(str(tmp_path), "version", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, PROJECT["version"]), done.stderr
