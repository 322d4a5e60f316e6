"""nginx with the shipped configuration in front of two instances: chunks as they come, an instance that leaves."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.databases import PostgresServer
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_app

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
DEADLINE_S = 30
TEXT = "Well. " + " ".join(f"word {number}" for number in range(200))
pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


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


def body(session: str) -> dict[str, object]:
    message = {"type": "user_message", "content": "hi", "agent_type": "ask"}
    return {"session_id": session, "protocol_version": 2, "message": message}


def test_chunks_pass_as_they_come_and_an_instance_may_leave(
    postgres: PostgresServer, stub: OpenAIStub, tmp_path: Path
) -> None:
    settings = {"llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0}
    with postgres.database() as db_url, ExitStack() as second, running_app(db_url=db_url, **settings) as (_, a):
        _, b = second.enter_context(running_app(db_url=db_url, **settings))
        with nginx(tmp_path, [a, b]) as url, api_client(url) as client, api_client(url) as other:
            stub.script([{"text": TEXT, "hang": True}])
            with client.stream("POST", "/agent/message/stream", json=body("s")) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                said = ""
                for line in response.iter_lines():
                    chunk = json.loads(line[6:]) if line.startswith("data: ") else {}
                    said += chunk.get("token") or ""
                    if "word 20 " in said:
                        break  # the model hangs: what was held back anywhere would never come
            assert TEXT.startswith(said)
            assert other.post("/sessions/s/cancel").json()["cancelled"], "whichever instance drives the run"
            second.close()  # SIGTERM of one instance: its connections are refused from now on
            for number in range(6):
                stub.script([{"text": "fine"}])
                answered = client.post("/agent/message/stream", json=body(f"after-{number}"))
                assert answered.status_code == 200
                assert '"outcome":"completed"' in answered.text.replace(" ", "")
