"""The README's first command, run as a newcomer runs it: in a throw-away copy, without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tracked import shared_bytecode, tracked_files

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the path")
def test_the_first_command_finishes_real_work(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in tracked_files():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    command = re.findall(r"```sh\n(.*?)```", (copy / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    dropped = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("AGENT_RUNTIME__", "PYTEST"))
    }
    environment |= {"UV_OFFLINE": "1", "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment["UV_CACHE_DIR"] = cache_folder()
    (tmp_path / "home").mkdir()
    with shared_bytecode(copy):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    playground = copy / "playground"
    assert (playground / "NOTES.md").read_text(encoding="utf-8") == "# Notes on the greeter"
    assert "Good morning" in (playground / "greeter.py").read_text(encoding="utf-8")
    assert "Good morning" not in (copy / "examples" / "greeter" / "greeter.py").read_text(encoding="utf-8")


def cache_folder() -> str:
    found = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True, timeout=30)
    return found.stdout.strip()
