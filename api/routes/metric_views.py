"""The metric views of the original, computed from stored rows (docs/protocol.md, Metric views)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import OpenEngine, Owner, check_page, refusals
from api.responses import JSONReply
from json_text import storable
from storage import figures
from wire.metric_views import EventStats, MeasuredSessions, MetricsOverview, NoMetrics, NotedEvents, SessionMetrics
from wire.text import quoted

router = APIRouter(prefix="/events")


@router.get("/metrics", responses=refusals(503))
async def overview(engine: OpenEngine, owner: Owner) -> MetricsOverview:
    """Show switches, model calls, tool calls, decisions and errors."""
    async with engine.database.autocommit() as tx:
        return MetricsOverview.model_validate(await figures.overview(tx, owner))


@router.get("/metrics/sessions", responses=refusals(503))
async def measured_sessions(engine: OpenEngine, owner: Owner) -> MeasuredSessions:
    """List the sessions that have called a model."""
    async with engine.database.autocommit() as tx:
        found = await figures.sessions_with_model_calls(tx, owner)
    return MeasuredSessions(sessions=found, count=len(found))


@router.get(
    "/metrics/session/{session_id}",
    response_model=SessionMetrics,
    responses={404: {"model": NoMetrics}, **refusals(503)},
)
async def session_metrics(session_id: str, engine: OpenEngine, owner: Owner) -> Response | SessionMetrics:
    """Show the model calls of one session, the classifier's left out."""
    wanted = storable(session_id)
    async with engine.database.autocommit() as tx:
        found = await figures.of_session(tx, owner, wanted)
    if found is None:
        return JSONReply({"error": f"No metrics found for session {quoted(wanted)}"}, 404)
    return SessionMetrics.model_validate(found)


@router.get("/audit-log", responses=refusals(400, 503))
async def noted_events(
    engine: OpenEngine, owner: Owner, session_id: str | None = None, event_type: str | None = None, limit: int = 100
) -> NotedEvents:
    """Show the last entries of what the original called its audit log, oldest first."""
    limit, _ = check_page(limit)
    filters: dict[str, str | int | None] = {"session_id": session_id, "event_type": event_type, "limit": limit}
    async with engine.database.autocommit() as tx:
        found = await figures.audit_events(tx, owner, storable(session_id), storable(event_type), limit)
    return NotedEvents.model_validate({"audit_log": found, "count": len(found), "filters": filters})


@router.get("/stats", responses=refusals(503))
async def event_stats(engine: OpenEngine, owner: Owner) -> EventStats:
    """Show how many events were published and how the runs behind them went."""
    async with engine.database.autocommit() as tx:
        return EventStats.model_validate(await figures.stats(tx, owner))
