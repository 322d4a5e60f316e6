"""nginx with the shipped configuration in front of two instances: chunks as they come, an instance that leaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.chaos.rolling import restart_in_turn
from tests.databases import PostgresServer
from tests.deploy.nginx import needs_nginx, nginx
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_app

TEXT = "Well, this is all that the model says before it falls silent."
pytestmark = needs_nginx


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
                    if said == TEXT:
                        break  # the model hangs: the last words would never come if anything held them back
            assert said == TEXT
            assert other.post("/sessions/s/cancel").json()["cancelled"], "whichever instance drives the run"
            second.close()  # SIGTERM of one instance: its connections are refused from now on
            for number in range(6):
                stub.script([{"text": "fine"}])
                answered = client.post("/agent/message/stream", json=body(f"after-{number}"))
                assert answered.status_code == 200
                assert '"outcome":"completed"' in answered.text.replace(" ", "")


def test_an_upgrade_with_a_migration_in_its_middle_loses_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    """Turns go on through nginx while the schema changes under both instances and one after the other restarts."""
    with postgres.database() as url:
        asyncio.run(restart_in_turn(url, count=4, seed=11, migrates=True, in_front=partial(nginx, tmp_path))).show()
