"""The console: its files, its login, and what its pages ask that no other client needs (docs/console.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from api.auth import accepted_key
from api.dependencies import JsonRoute, OpenEngine, WatchedEngine
from api.pages.cookies import COOKIE, LOGIN_HOURS, new_login
from api.pages.files import INDEX, send_file
from api.responses import JSONReply
from storage.tables import logins
from storage.tables.logins import Login

router = APIRouter(prefix="/console", include_in_schema=False, route_class=JsonRoute)
_END_USER = re.compile(r"[\x21-\x7e]{0,128}")


class LoginRequest(BaseModel):
    """The key, and the user of a gateway for whom it speaks; without one the sessions of the key itself."""

    key: str
    end_user: str = ""


class LogoutRequest(BaseModel):
    """Whether every login of this user ends, or this one."""

    everywhere: bool = False


@router.get("")
async def page(request: Request) -> Response:
    """Give the page; the browser then loads its modules."""
    found = send_file(request, INDEX)
    assert found is not None, "the page is shipped"
    return found


@router.get("/")
async def page_without_slash() -> Response:
    """Lead to the one address of the page."""
    return RedirectResponse("/console", 308)


@router.get("/static/{name:path}")
async def static_file(request: Request, name: str) -> Response:
    """Give one file of the page."""
    return send_file(request, name) or JSONReply({"detail": "Not Found", "code": "not_found"}, 404)


@router.post("/login")
async def log_in(request: Request, body: LoginRequest, engine: OpenEngine) -> Response:
    """Set the cookie that stands for a right key."""
    found = accepted_key(request.app.state.keys.accepted, body.key.encode())
    if found is None or not _END_USER.fullmatch(body.end_user):
        return JSONReply({"detail": "unauthorized"}, 401)
    token, login = new_login(*found, body.end_user)
    async with engine.database.transaction() as tx:
        await logins.add(tx, login)
    response = JSONReply(_state(request, login))
    response.set_cookie(
        COOKIE,
        token,
        max_age=round(LOGIN_HOURS * 3600),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
async def log_out(request: Request, body: LogoutRequest, engine: OpenEngine) -> Response:
    """End this login, or all of its user."""
    login: Login | None = getattr(request.state, "login", None)
    if login is not None:
        async with engine.database.transaction() as tx:
            await logins.remove(tx, login, everywhere=body.everywhere)
    response = JSONReply({})
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/state")
async def state(request: Request) -> Response:
    """Say who is logged in and what runs tool calls here; 401 without a login."""
    login: Login | None = getattr(request.state, "login", None)
    if login is None:
        return JSONReply({"detail": "unauthorized"}, 401)
    return JSONReply(_state(request, login))


@router.get("/graph")
async def graph_edges(engine: WatchedEngine) -> Response:
    """Give the compiled graph: its nodes and edges."""
    drawn = engine.graph.get_graph()
    edges = sorted({(edge.source, edge.target) for edge in drawn.edges})
    return JSONReply({"nodes": sorted(drawn.nodes), "edges": edges})


def _state(request: Request, login: Login) -> dict[str, Any]:
    workspace: Callable[[], dict[str, Any]] | None = getattr(request.app.state, "workspace", None)
    return {
        "principal": login.principal,
        "end_user": login.end_user,
        "version": request.app.version,
        "workspace": workspace() if workspace else None,
    }
