"""nginx with the shipped configuration, in front of servers of a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
DEADLINE_S = 30
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


@contextmanager
def nginx(folder: Path, upstreams: list[str]) -> Iterator[str]:
    """Run nginx on a free port in front of these servers; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = CONFIGURATION.read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{port};")
    for name, address in zip(("runtime-a:8001", "runtime-b:8001"), upstreams, strict=True):
        assert name in text
        text = text.replace(name, address.removeprefix("http://"))
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{\naccess_log off;\n{places}", 1)
    (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid;\ndaemon off;\nuser root;\n{text}")
    with open(folder / "nginx.log", "w") as log:
        process = subprocess.Popen(
            ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + DEADLINE_S
        while True:
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline, "nginx did not start"
            try:
                if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
