"""The composition root: opens the database, builds the graph, mounts the routes. Only it chooses implementations."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI
from starlette.middleware import Middleware

from agents.roster import agents_of, check_roster
from api import openapi, responses
from api.access_log import AccessLog
from api.auth import Authentication
from api.body import BodyParser
from api.hosts import HostCheck
from api.keys import Keys
from api.limits import BodyLimit, RateLimit
from api.pages import offline_docs
from api.routes import (
    agents,
    approvals,
    calls,
    console,
    conversation,
    health,
    messages,
    metric_views,
    metrics,
    model_calls,
    pending,
    policy,
    runs,
    sessions,
)
from errors import ConfigurationError
from graph.builder import build_graph
from llm.breaker import Breaker
from llm.chat_model import BUILT_IN_MODEL, Endpoint, ModelKeys, Models
from policy.rules import load_rules
from runs.budget import check_prices
from runs.engine import Engine
from runs.keep.shutdown import drain_before_exit
from runs.keep.worker import Worker
from runs.log.broadcast import Broadcast
from settings import PREFIX, Settings
from storage.checkpoints import Checkpoints
from storage.connect import open_database
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
        checkpoints = Checkpoints(database)
        await checkpoints.open()
        models = _models(settings, keys)
        traces = otlp_provider(settings.otel_endpoint, settings.version) if settings.otel_endpoint else None
        if traces is not None:
            tracing.enable(traces)
        engine = Engine(settings, database, checkpoints, build_graph(), models, rules, Broadcast(database))
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
            await checkpoints.close()
            await database.close()

    app = FastAPI(
        title="CodeLab agent runtime",
        version=settings.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
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
    of_sessions = (messages, sessions, conversation, pending, approvals, calls, model_calls)
    for module in (*of_sessions, runs, agents, policy, metric_views, metrics, health, console):
        app.include_router(module.router)
    app.state.keys = keys
    openapi.install(app)
    offline_docs.install(app)
    return app


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
