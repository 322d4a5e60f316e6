"""Whether the process lives and can take work (protocol section 6)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.parts import OpenEngine
from errors import NotReady
from wire.resources import Health, Readiness

router = APIRouter()


@router.get("/health")
async def health(engine: OpenEngine) -> Health:
    """Say that the process lives."""
    return Health(version=engine.settings.version)


@router.get("/ready", responses={503: {"model": Readiness}})
async def ready(engine: OpenEngine, response: Response) -> Readiness:
    """Say whether the database and the checkpointer answer."""
    checks = {"database": "ok", "checkpointer": "ok", "llm": "closed"}
    try:
        async with engine.database.autocommit() as tx:
            await tx.value("count_sessions", owner="")
        await engine.checkpoints.check()
    except NotReady:
        checks |= {"database": "unreachable", "checkpointer": "unreachable"}
    is_ready = checks["database"] == "ok" and not engine.is_draining
    response.status_code = 200 if is_ready else 503
    return Readiness(status="ready" if is_ready else "not_ready", checks=checks)
