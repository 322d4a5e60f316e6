"""The composition root: opens the database, builds the graph, mounts the routes. Only it chooses implementations."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from agents.roster import agents_of, check_roster
from api import responses
from api.access_log import AccessLog
from api.auth import Authentication
from api.body import BodyParser
from api.hosts import HostCheck
from api.keys import Keys
from api.limits import BodyLimit, RateLimit
from api.routes import health, metrics
from errors import ConfigurationError
from llm.breaker import Breaker
from llm.chat_model import BUILT_IN_MODEL, Endpoint, ModelKeys, Models
from llm.prices import check_prices
from policy.rules import load_rules
from runs.engine import Engine, LoadedGraph
from runs.keep.shutdown import drain_before_exit
from runs.keep.worker import Worker
from runs.log.broadcast import Broadcast
from settings import PREFIX, Settings
from storage.connect import open_database
from storage.database import Database
from storage.schema import migrate
from telemetry import tracing
from telemetry.tracing import otlp_provider

DRAIN_S = 8.0
"""Less than the ten seconds after which a container runtime sends SIGKILL."""
_log = logging.getLogger("server")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application; raises ConfigurationError when the settings, the roster or the rules are not usable."""
    settings = settings or Settings.load()
    keys = Keys(settings)
    check_roster()
    rules = load_rules(settings.policy_file, settings.policy_profile)
    check_prices(settings)
    parser = BodyParser()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await migrate(settings.db_url, settings.db_listen_url)
        database = await open_database(settings.db_url, settings.db_listen_url)
        models = _models(settings, keys)
        traces = otlp_provider(settings.otel_endpoint, settings.version) if settings.otel_endpoint else None
        if traces is not None:
            tracing.enable(traces)

        async def load_graph() -> LoadedGraph:
            loaded = await asyncio.to_thread(_import_graph, database)
            await loaded.checkpoints.open()
            _mount_late_routes(app)
            return loaded

        engine = Engine(settings, database, load_graph, models, rules, Broadcast(database))
        app.state.engine = engine
        worker = Worker(engine)
        await worker.start()
        _log.info("server started", extra=_started(settings))
        for caution in settings.cautions():
            _log.warning(caution, extra={"action": "caution"})
        try:
            async with keys.refreshed():
                with drain_before_exit(worker, DRAIN_S):
                    yield
        finally:
            await worker.stop(DRAIN_S)
            await engine.log_writer.close()
            await models.aclose()
            await parser.close()
            if traces is not None:
                tracing.enable(None)
                traces.shutdown()
            await engine.close_graph()
            await database.close()

    app = FastAPI(
        title="CodeLab agent runtime",
        version=settings.version,
        lifespan=lifespan,
        openapi_url=None,  # its route comes with the others
        default_response_class=responses.JSONReply,
        middleware=[
            Middleware(AccessLog),
            *([Middleware(HostCheck, allowed=settings.hosts)] if settings.hosts else []),
            Middleware(Authentication, keys=keys),
            Middleware(BodyLimit, max_bytes=settings.max_body_bytes, parser=parser),
            Middleware(RateLimit, per_minute=settings.rate_limit_per_minute),
        ],
    )
    responses.install(app)
    for module in (health, metrics):
        app.include_router(module.router)
    app.router.default = _load_and_route
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's documented way
    app.state.keys = keys
    return app


async def _load_and_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Route a request again that found no route, when all routes are mounted."""
    app: FastAPI = scope["app"]
    await app.state.engine.load_graph()
    await app.router(scope, receive, send)


def _mount_late_routes(app: FastAPI) -> None:
    from api.late_routes import mount

    mount(app)


def _document(app: FastAPI) -> dict[str, Any]:
    from api.openapi import document

    _mount_late_routes(app)
    return document(app)


def _import_graph(database: Database) -> LoadedGraph:
    """Import LangGraph and what needs it, the routes included, in about a second of CPU, and build the graph."""
    is_enabled = gc.isenabled()
    gc.disable()  # as at the start: collections while modules are loaded find nothing
    try:
        import api.late_routes  # noqa: F401 imported here, in a thread, and mounted by the event loop
        from graph.builder import build_graph
        from storage.checkpoints import Checkpoints

        return LoadedGraph(build_graph(), Checkpoints(database))
    finally:
        gc.freeze()
        if is_enabled:
            gc.enable()


def _started(settings: Settings) -> dict[str, object]:
    """Log the effective configuration once, at the start."""
    return {
        "action": "server_started",
        "version": settings.version,
        "agents": ",".join(agent.name for agent in agents_of(multi_agent=settings.multi_agent_mode)),
        "model": settings.llm_model,
        "endpoint": None if settings.llm_model == BUILT_IN_MODEL else settings.llm_proxy_url,
        "database": settings.db_url,
        "policy_profile": settings.policy_profile,
        "approval_expiry_hours": settings.approval_expiry_hours,
        "session_max_age_hours": settings.session_max_age_hours,
    }


def _models(settings: Settings, keys: Keys) -> Models:
    """Create the chat model client; the fallback has its own breaker and, when it has an address, its own key."""
    endpoint = Endpoint.of(settings, keys.outgoing)
    other = endpoint
    if settings.llm_fallback_url is not None:
        key = settings.llm_fallback_api_key
        other = replace(endpoint, proxy_url=settings.llm_fallback_url, keys=ModelKeys(key), headers={})
    elif settings.llm_fallback_api_key is not None:
        raise ConfigurationError(f"{PREFIX}LLM_FALLBACK_API_KEY needs {PREFIX}LLM_FALLBACK_URL.")

    def models(name: str, place: Endpoint, fallback: Models | None = None) -> Models:
        breaker = Breaker(settings.llm_breaker_failures, settings.llm_breaker_seconds)
        return Models(
            model=name, endpoint=place, max_retries=settings.llm_max_retries, breaker=breaker, fallback=fallback
        )

    if settings.llm_fallback_model is None:
        return models(settings.llm_model, endpoint)
    return models(settings.llm_model, endpoint, models(settings.llm_fallback_model, other))
