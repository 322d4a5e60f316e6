"""What the build of the image may not see: environment files, keys, databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def is_sent(path: str) -> bool:
    """Whether the build context holds a file: Docker's rules, the last pattern that meets a part of the path wins."""
    sent = True
    for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").split():
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(?:/.*)?", path):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "deploy/.env",
        "deploy/.env.production",
        "examples/greeter/.env",
        "a/b/c/.env",
        "data/agent_runtime.db",
        "deploy/tls/server.key",
        "server.pem",
        "x.db",
        ".git/config",
        ".venv/bin/python",
        "tests/conftest.py",
    ],
)
def test_no_secret_and_no_ballast_is_sent_to_the_build(path: str) -> None:
    assert not is_sent(path)


@pytest.mark.parametrize(
    "path", ["server.py", "pyproject.toml", "uv.lock", "policy/rules.toml", "storage/sql/both/runs.sql", ".env.example"]
)
def test_what_the_image_runs_is_sent(path: str) -> None:
    assert (ROOT / path).is_file()
    assert is_sent(path)
