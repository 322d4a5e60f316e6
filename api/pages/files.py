"""The files of the console as they are served: read once, packed once, with the policy of what may run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parents[2] / "console" / "static"
INDEX = "index.html"
_MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class PageFile:
    """One file of the page."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """Every file that a browser may load, by its path below `console/static/`."""
    paths = [path for path in sorted(STATIC.rglob("*")) if path.suffix in _MEDIA_TYPES]
    return {path.relative_to(STATIC).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    packed = gzip.compress(body, mtime=0)
    return PageFile(body, packed, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@cache
def page_policy() -> str:
    """The Content-Security-Policy: our own files, the one import map, and no text that becomes markup."""
    found = _IMPORT_MAP.search(page_files()[INDEX].body.decode())
    assert found is not None, "index.html has one import map"
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def send_file(request: Request, name: str) -> Response | None:
    """Answer with a file, packed for a browser that takes it; None where there is no such file."""
    file = page_files().get(name)
    if file is None:
        return None
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": page_policy(),
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": file.etag,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, media_type=file.media_type, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
