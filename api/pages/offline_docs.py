"""`/docs` and `/redoc` without internet: Swagger UI and ReDoc from the package `fastapi-offline`."""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

FILES = Path(fastapi_offline.__file__).parent / "static"
PLACE = "/docs/static"
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; worker-src blob:; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)


def install(app: FastAPI) -> None:
    """Serve both pages; nothing is loaded from another host."""
    app.mount(PLACE, StaticFiles(directory=FILES), name="docs-static")
    icon = f"{PLACE}/favicon.png"

    @app.get("/docs", include_in_schema=False)
    async def swagger() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{PLACE}/swagger-ui-bundle.js",
            swagger_css_url=f"{PLACE}/swagger-ui.css",
            swagger_favicon_url=icon,
        )
        return _limited(page)

    @app.get("/redoc", include_in_schema=False)
    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title=app.title,
            redoc_js_url=f"{PLACE}/redoc.standalone.js",
            redoc_favicon_url=icon,
            with_google_fonts=False,
        )
        return _limited(page)


def _limited(page: HTMLResponse) -> HTMLResponse:
    page.headers["Content-Security-Policy"] = _POLICY
    return page
