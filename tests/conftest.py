"""Fixtures for all tests: both databases, the model stub, and the switch that forbids real model calls."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import llm.chat_model
from storage.schema import migrate
from telemetry import tracing
from tests.databases import PostgresServer, postgres_server
from tests.openai_stub import OpenAIStub
from tests.servers import Serve, Servers

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


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file: every test copies it, as it clones the template of PostgreSQL."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of its own, on each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_template'), tmp_path / 'test.db')}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own without tables, on each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database(empty=True) as url:
        yield url


@pytest.fixture(scope="session")
def running_stub() -> Iterator[OpenAIStub]:
    """An OpenAI-compatible model server."""
    with OpenAIStub() as server:
        yield server


@pytest.fixture
def stub(running_stub: OpenAIStub) -> OpenAIStub:
    """The model server as new: it answers from a script."""
    running_stub.reset()
    return running_stub


@pytest.fixture(scope="session")
def sqlite_servers(
    running_stub: OpenAIStub, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """The servers on SQLite that tests share, each on a file of its own."""

    @contextmanager
    def database() -> Iterator[str]:
        yield f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('shared') / 'test.db')}"

    with ExitStack() as stack:
        yield Servers(running_stub, database, stack)


@pytest.fixture(scope="session")
def postgresql_servers(running_stub: OpenAIStub, postgres: PostgresServer) -> Iterator[Servers]:
    """The servers on PostgreSQL that tests share, each on a database of its own."""
    with ExitStack() as stack:
        yield Servers(running_stub, postgres.database, stack)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, stub: OpenAIStub) -> Iterator[Serve]:
    """Clients of shared servers with the given settings, on each kind of database."""
    servers: Servers = request.getfixturevalue(f"{request.param}_servers")
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(servers.client(**settings))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What tracing exports, gathered in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.enable(provider)
    try:
        yield exporter
    finally:
        tracing.enable(None)
        provider.shutdown()
