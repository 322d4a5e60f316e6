"""Secrets in every place where users and operators put them stand in no log, metric, trace, error, audit or webhook."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import logs
from settings import Settings
from tests.databases import PostgresServer
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import running_server
from tests.runs.test_webhooks import SECRET as WEBHOOK_SECRET
from tests.runs.test_webhooks import Receiver, wait_for

CANARY = "cnry"
INTERNAL, MODEL = f"{CANARY}-internal-key-4411", f"{CANARY}-model-key-8822"
MESSAGE, ARGUMENT, RESULT, HEADER, FEEDBACK, TITLE = (
    f"{CANARY}-{place}-{number}"
    for number, place in enumerate(("message", "argument", "result", "header", "feedback", "title"))
)
ALL = (INTERNAL, MODEL, MESSAGE, ARGUMENT, RESULT, HEADER, FEEDBACK, TITLE)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


def test_no_secret_leaves_through_what_operators_read(
    postgres: PostgresServer, stub: OpenAIStub, spans: InMemorySpanExporter, receiver: Receiver
) -> None:
    with postgres.database() as db_url:
        password = f"{CANARY}-database-9933"
        address = re.sub(r"^postgresql://([^:@/]+)(?::[^@]*)?@", rf"postgresql://\1:{password}@", db_url)
        settings: dict[str, Any] = {
            "db_url": address,
            "internal_api_key": INTERNAL,
            "llm_api_key": MODEL,
            "llm_model": "scripted",
            "llm_proxy_url": stub.url,
            "llm_max_retries": 0,
            "webhook_url": receiver.url,
            "webhook_secret": WEBHOOK_SECRET,
            "webhook_allow_private": True,
        }
        written = io.StringIO()
        secrets = Settings.load(**settings).secrets
        assert password in secrets
        handler = logs.configure("DEBUG", "json", secrets, logging.StreamHandler(written))
        try:
            told = use(settings, stub, receiver)
        finally:
            logging.getLogger().removeHandler(handler)
    places = {
        "log": written.getvalue(),
        "metrics and errors": "\n".join(told),
        "traces": "\n".join(span.to_json() for span in spans.get_finished_spans()),
        "webhooks": "\n".join(f"{headers} {body.decode()}" for headers, body in receiver.got),
    }
    assert all(len(text) > 200 for text in places.values()), "something was written everywhere"
    found = {
        place: [secret for secret in (*ALL, password, WEBHOOK_SECRET) if secret in text]
        for place, text in places.items()
    }
    assert found == {place: [] for place in places}


def use(settings: dict[str, Any], stub: OpenAIStub, receiver: Receiver) -> list[str]:
    """Work with secrets everywhere; returns what is shown to operators, and errors about the secrets."""
    call = {"tool": "write_file", "args": {"path": "a.txt", "content": ARGUMENT}, "id": "c1"}
    stub.script(
        [
            call,
            {**call, "id": "c2"},
            {"text": "done"},
            {"status": 500, "body": f"Bearer {MODEL} is wrong"},
            {"status": 413, "body": {"error": {"message": f"The key {MODEL} is of another plan"}}},
        ]
    )
    with running_server(**settings) as url:
        headers = {"X-Internal-Auth": INTERNAL, "X-Secret": HEADER, "Authorization": f"Bearer {HEADER}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            ide = Ide(client, 2, session_id="s")
            ide.say(f"Write {MESSAGE}")
            ide.decide("c1", "reject", feedback=FEEDBACK)
            ide.decide("c2", "approve")
            ide.result("c2", error=f"Traceback password={RESULT}")
            failed = ide.say(f"Again {MESSAGE}")
            ide.say(f"And again {MESSAGE}")
            client.patch("/sessions/s", json={"title": TITLE})
            wait_for(lambda: len(receiver.got) >= 4)
            errors = [json.dumps(chunk) for chunk in failed if chunk["type"] == "error"]
            assert errors
            refusals = [
                client.post("/agent/message/stream", json={"session_id": "s", "message": {"type": "tool_result"}}).text,
                client.get("/sessions/none", headers={"X-Internal-Auth": HEADER}).text,
                client.post("/agent/message/stream", content=f'{{"{MESSAGE}"').text,
            ]
            views = [client.get(path).text for path in ("/metrics", "/events/metrics", "/events/stats", "/ready")]
            return [*errors, *refusals, *views]


def test_the_audit_holds_no_arguments_that_were_allowed_and_no_keys(
    postgres: PostgresServer, stub: OpenAIStub, receiver: Receiver
) -> None:
    with postgres.database() as db_url:
        settings: dict[str, Any] = {
            "db_url": db_url,
            "internal_api_key": INTERNAL,
            "llm_api_key": MODEL,
            "llm_model": "scripted",
        }
        settings |= {"llm_proxy_url": stub.url, "llm_max_retries": 0}
        stub.script(
            [{"tool": "write_file", "args": {"path": "a.txt", "content": ARGUMENT}, "id": "c1"}, {"text": "done"}]
        )
        with running_server(**settings) as url:
            client = httpx.Client(base_url=url, headers={"X-Internal-Auth": INTERNAL}, timeout=30, trust_env=False)
            with client:
                ide = Ide(client, 2, session_id="s")
                ide.say(f"Write {MESSAGE}")
                ide.decide("c1", "approve")
                ide.result("c1", RESULT)
                told = client.get("/sessions/s/audit").text + client.get("/events/audit-log").text
    assert len(told) > 200
    assert [secret for secret in (INTERNAL, MODEL, MESSAGE, ARGUMENT, RESULT) if secret in told] == []
