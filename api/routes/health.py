"""Whether the process lives and can take work (docs/protocol.md, Endpoints)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from fastapi import APIRouter, Response

from api.dependencies import WatchedEngine
from api.responses import RETRY_AFTER_S
from errors import NotReady
from runs.engine import Engine
from wire.rest.health import Health, Readiness

router = APIRouter()
_log = logging.getLogger("api.health")


@router.get("/health")
async def health(engine: WatchedEngine) -> Health:
    """Report that the process is alive."""
    return Health(version=engine.settings.version)


@router.get("/ready", responses={503: {"model": Readiness}})
async def ready(engine: WatchedEngine, response: Response) -> Readiness:
    """Report whether sessions can be read and written now, threads be read, and the model be asked.

    The first probe loads what requests need, so that the first request does not wait for it.
    """
    database, checkpointer = await asyncio.gather(
        _state_of("database", engine.database.check()), _state_of("checkpointer", _check_threads(engine))
    )
    checks = {"database": database, "checkpointer": checkpointer, "llm": engine.models.breaker.state}
    is_ready = checks["database"] == checks["checkpointer"] == "ok" and not engine.is_draining
    response.status_code = 200 if is_ready else 503
    if not is_ready:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return Readiness(status="not_ready", checks=checks)
    return Readiness(status="ready" if checks["llm"] == "closed" else "degraded", checks=checks)


async def _check_threads(engine: Engine) -> None:
    await engine.load_graph()
    await engine.checkpoints.check()


async def _state_of(name: str, asking: Awaitable[None]) -> str:
    try:
        await asking
    except Exception as error:  # noqa: BLE001 whatever it is, the answer is that this part is not ready
        if not isinstance(error, NotReady):
            _log.exception("not ready", extra={"action": "not_ready", "part": name})
        return "unreachable"
    return "ok"
