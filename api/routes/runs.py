"""Runs over all sessions (docs/protocol.md, endpoints)."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import OpenEngine, Owner, check_page, refusals
from storage.tables import runs
from wire.rest.runs import GivenUpRuns

router = APIRouter()


@router.get("/runs/given-up", responses=refusals(400, 503))
async def given_up(engine: OpenEngine, owner: Owner, limit: int = 100) -> GivenUpRuns:
    """List the owner's runs that no attempt could finish, with the reason, newest first."""
    limit, _ = check_page(limit)
    async with engine.database.autocommit() as tx:
        rows = await runs.given_up(tx, owner, limit)
    return GivenUpRuns.model_validate({"runs": rows, "count": len(rows)})
