"""The routes that need LangGraph: mounted before the first request that is no probe (docs/decisions/0009)."""

from __future__ import annotations

from fastapi import FastAPI

from api import openapi
from api.pages import offline_docs
from api.routes import (
    agents,
    approvals,
    calls,
    console,
    conversation,
    messages,
    metric_views,
    model_calls,
    pending,
    policy,
    runs,
    sessions,
)

OF_SESSIONS = (messages, sessions, conversation, pending, approvals, calls, model_calls)


def mount(app: FastAPI) -> None:
    """Mount the routes; an application that has them stays as it is."""
    if app.router.default == app.router.not_found:
        return
    for module in (*OF_SESSIONS, runs, agents, policy, metric_views, console):
        app.include_router(module.router)
    openapi.install(app)
    offline_docs.install(app)
    app.router.default = app.router.not_found
