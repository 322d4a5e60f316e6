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
        "acp", "client", "console", "evaluation", "opentelemetry.exporter", "matplotlib", "langgraph", "langsmith",
        "langchain_core.messages", "httpx", "requests", "rich", "sse_starlette",
    },
    "client.terminal.run": {
        "alembic", "sqlalchemy", "openai", "tiktoken", "jsonschema", "fastapi", "langgraph", "langchain_core",
        "uvicorn", "psycopg", "acp", "server", "evaluation",
    },
}  # fmt: skip
"""For each entry, what is imported when it is needed."""
MOST = {"server": 750, "client.terminal.run": 900}
"""Modules in all, the standard library's and those of installed extras included."""
IMPORT = "import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
IDLE = """
import asyncio, json, sys
import httpx
from server import create_app
from settings import Settings
from tests.running import KEY

async def main(db_url):
    app = create_app(Settings.load(db_url=db_url, internal_api_key=KEY, llm_model="m"))
    async with app.router.lifespan_context(app):
        headers = {"X-Internal-Auth": KEY}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            for path, status in {"/health": 200, "/metrics": 200, "/sessions": 401}.items():
                given = {} if status == 200 else {"X-Internal-Auth": "wrong"}
                response = await client.get(path, headers=given)
                assert response.status_code == status, (path, response.text)
            await asyncio.sleep(3)  # every periodic step of the worker has run
            print(json.dumps(sorted(sys.modules)))
            for path in sys.argv[2:]:
                response = await client.get(path)
                assert response.status_code == 200, (path, response.text)
            print(json.dumps(sorted(sys.modules)))

asyncio.run(main(sys.argv[1]))
"""
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
    return stages(code, *arguments)[-1]


def stages(code: str, *arguments: str) -> list[list[str]]:
    """The modules that the code has printed, in order."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("module", LATE)
def test_a_start_imports_only_what_it_needs(module: str) -> None:
    found = modules(IMPORT.format(module=module))
    assert sorted(LATE[module].intersection(found)) == []
    assert len(found) <= MOST[module], f"{len(found)} modules: what is new among them?"


@pytest.mark.parametrize("path", ["/ready", "/sessions"])
def test_an_idle_server_has_no_langgraph_until_a_request_needs_it(db_url: str, path: str) -> None:
    idle, after = stages(IDLE, db_url, path)
    assert {"langgraph", "langsmith", "langchain_core.messages", "langgraph.checkpoint"}.isdisjoint(idle)
    assert {"langgraph", "api.routes.messages"} <= set(after), "loaded for the request"
    assert "langchain_openai" not in after or path == "/sessions"


def test_a_first_turn_on_a_new_database_imports_no_client_sdk_and_no_migrations(tmp_path: Path) -> None:
    message = json.dumps(user_message("Hello.", agent_type="ask"))
    found = modules(FIRST_TURN, f"sqlite:///{tmp_path}/new.db", message)
    assert {"alembic", "sqlalchemy", "openai", "langchain_openai", "tiktoken"}.isdisjoint(found)
    assert {"langgraph", "aiosqlite"} <= set(found), "the turn was played"
