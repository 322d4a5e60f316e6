"""What a start imports: nothing that only some turns, other commands or older databases need, and no more than now."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ide import user_message

ROOT = Path(__file__).parent.parent
LATE = {
    "server": {
        "alembic", "sqlalchemy", "openai", "langchain_openai", "tiktoken", "jsonschema", "aiosqlite", "prompt_toolkit",
        "acp", "client", "console", "evaluation", "opentelemetry.exporter", "matplotlib",
    },
    "client.terminal.run": {
        "alembic", "sqlalchemy", "openai", "tiktoken", "jsonschema", "fastapi", "langgraph", "langchain_core",
        "uvicorn", "psycopg", "acp", "server", "evaluation",
    },
}  # fmt: skip
"""For each entry, what is imported when it is needed."""
MOST = {"server": 1800, "client.terminal.run": 900}
"""Modules in all, the standard library's and those of installed extras included."""
IMPORT = "import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
FIRST_TURN = """
import asyncio, json, sys
from tests.runs.opened import opened

async def main():
    async with opened(sys.argv[1]) as (_, client):
        status, chunks = await client.post(json.loads(sys.argv[2]))
        assert (status, chunks[-1]["type"]) == (200, "done"), chunks

asyncio.run(main())
print(json.dumps(sorted(sys.modules)))
"""


def modules(code: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("module", LATE)
def test_a_start_imports_only_what_it_needs(module: str) -> None:
    found = modules(IMPORT.format(module=module))
    assert sorted(LATE[module].intersection(found)) == []
    assert len(found) <= MOST[module], f"{len(found)} modules: what is new among them?"


def test_a_first_turn_on_a_new_database_imports_no_client_sdk_and_no_migrations(tmp_path: Path) -> None:
    message = json.dumps(user_message("Hello.", agent_type="ask"))
    found = modules(FIRST_TURN, f"sqlite:///{tmp_path}/new.db", message)
    assert {"alembic", "sqlalchemy", "openai", "langchain_openai", "tiktoken"}.isdisjoint(found)
    assert {"langgraph", "aiosqlite"} <= set(found), "the turn was played"
