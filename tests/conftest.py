"""Fixtures for all tests: both databases, the model stub, and the switch that forbids real model calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import llm.chat_model
from tests.databases import PostgresServer, postgres_server
from tests.openai_stub import OpenAIStub

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def _no_real_models() -> None:
    llm.chat_model.ALLOW_REMOTE_MODELS = False
    for name in [name for name in os.environ if name.startswith("AGENT_RUNTIME__")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own, on each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    """An OpenAI-compatible model server that answers from a script."""
    with OpenAIStub() as server:
        yield server
