"""Webhooks: written with the end of an attempt, signed, tried again, never to an address that is not public."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runs.webhooks.addresses import is_public
from runs.webhooks.delivery import AT_ONCE, MAX_TRIES
from tests.chaos.clocks import ShiftedInstance
from tests.databases import PostgresServer
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import api_client, talking

SECRET = "a-secret-of-the-tests"
CANARY = "canary-51c2"
DEADLINE_S = 30


class Receiver:
    """A receiver of webhooks that answers with the statuses of its list, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    @contextmanager
    def serving(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Location", f"{receiver.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://localhost:{server.server_address[1]}/hook?token={CANARY}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as receiver:
        yield receiver


def wait_for(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)


def settings(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"webhook_url": receiver.url, "webhook_secret": SECRET, "webhook_allow_private": True, **more}


def genuine() -> Callable[[bytes, dict[str, str], bytes], bool]:
    """The check of the receiver as the documentation writes it."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 the documentation's own example
    found: Callable[[bytes, dict[str, str], bytes], bool] = names["is_genuine"]
    return found


def test_each_end_is_told_once_and_signed(db_url: str, stub: OpenAIStub, receiver: Receiver) -> None:
    stub.script(
        [
            {"tool": "write_file", "args": {**WRITE, "content": CANARY}, "id": "c1"},
            {"text": f"Done {CANARY}."},
            {"status": 413},
        ]
    )
    with talking(db_url, stub, **settings(receiver)) as client:
        ide = Ide(client, 2, session_id="s")
        ide.say(f"Write {CANARY}")
        wait_for(lambda: len(receiver.got) == 1)
        ide.decide("c1", "approve")
        ide.result("c1", f"ok {CANARY}")
        wait_for(lambda: len(receiver.got) == 2)
        ide.say("Fail now")
        wait_for(lambda: len(receiver.got) == 3)
        told = receiver.events()
        assert [(event["event"], event["outcome"], event["code"]) for event in told] == [
            ("approval.waiting", "awaiting_approval", None),
            ("turn.ended", "completed", None),
            ("turn.failed", "failed", "llm_unavailable"),
        ]
        assert {event["session_id"] for event in told} == {"s"}
        assert len({event["id"] for event in told}) == 3
        [call] = told[0]["calls"]
        assert (call["call_id"], call["tool_name"]) == ("c1", "write_file")
        check = genuine()
        for headers, body in receiver.got:
            assert check(SECRET.encode(), headers, body)
            assert not check(b"another secret", headers, body)
            assert not check(SECRET.encode(), headers, body + b" ")
            assert headers["X-Webhook-Id"] == json.loads(body)["id"]
            assert CANARY not in body.decode()
        counted = client.get("/metrics").text
        assert 'agent_runtime_webhooks_total{result="delivered"} 3.0' in counted


async def test_an_event_is_signed_with_the_time_of_the_database(
    postgres: PostgresServer, stub: OpenAIStub, receiver: Receiver
) -> None:
    """The receiver refuses what is minutes old (`docs/webhooks.md`): the clock of one server must not decide."""
    stub.add({"text": "Done."})
    with postgres.database() as url:
        model = {"llm_model": "scripted", "llm_proxy_url": stub.url}
        server = ShiftedInstance(url, 3600, **model, **{k: str(v) for k, v in settings(receiver).items()})
        await server.start()
        try:
            with api_client(server.url) as client:
                await asyncio.to_thread(Ide(client, session_id="s").say, "Hello", agent_type="coder")
            await asyncio.to_thread(wait_for, lambda: len(receiver.got) == 1)
        finally:
            await server.stop()
        with psycopg.connect(url) as connection:
            row = connection.execute("select extract(epoch from clock_timestamp())").fetchone()
    [(headers, body)] = receiver.got
    assert row is not None
    assert abs(int(headers["X-Webhook-Timestamp"]) - float(row[0])) < 600
    assert genuine()(SECRET.encode(), headers, body)


END_WHILE_WAITING: dict[str, tuple[Callable[[Ide], Any], tuple[str, str, str]]] = {
    "a cancel": (lambda ide: ide.client.post("/sessions/s/cancel"), ("turn.ended", "cancelled", "cancelled")),
    "a new message": (lambda ide: ide.say("Something else"), ("turn.ended", "cancelled", "superseded")),
    "a switch": (
        lambda ide: ide.send({"type": "switch_agent", "agent_type": "ask"}),
        ("turn.ended", "cancelled", "superseded"),
    ),
    "a switch over REST": (
        lambda ide: ide.client.post("/agents/s/switch", json={"target_agent": "ask", "reason": "I say so"}),
        ("turn.ended", "cancelled", "superseded"),
    ),
    "the deletion": (lambda ide: ide.client.delete("/sessions/s"), ("turn.ended", "cancelled", "cancelled")),
}


@pytest.mark.parametrize("ending", END_WHILE_WAITING)
def test_a_turn_that_ends_while_it_waits_is_told(
    ending: str, db_url: str, stub: OpenAIStub, receiver: Receiver
) -> None:
    end, expected = END_WHILE_WAITING[ending]
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}, {"text": "Another answer."}])
    with talking(db_url, stub, **settings(receiver)) as client:
        ide = Ide(client, 2, session_id="s")
        ide.say("Write")
        wait_for(lambda: len(receiver.got) == 1)
        end(ide)
        wait_for(lambda: len(receiver.got) >= 2)
        told = [(event["event"], event["outcome"], event["code"]) for event in receiver.events()]
    assert told[0] == ("approval.waiting", "awaiting_approval", None)
    assert expected in told[1:]
    assert receiver.events()[0]["run_id"] in {event["run_id"] for event in receiver.events()[1:]}


def test_a_turn_whose_approval_expires_is_told(db_url: str, stub: OpenAIStub, receiver: Receiver) -> None:
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}])
    with talking(db_url, stub, **settings(receiver, approval_expiry_hours=0.0001)) as client:
        Ide(client, 2, session_id="s").say("Write")
        wait_for(lambda: len(receiver.got) == 2)
    assert sorted((event["event"], event["code"]) for event in receiver.events()) == [
        ("approval.waiting", None),
        ("turn.failed", "approval_expired"),
    ]


@pytest.mark.parametrize("status", [500, 301, 404])
def test_what_is_not_delivered_is_tried_again(
    status: int, stub: OpenAIStub, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.statuses = [status]
    stub.script([{"text": "hello"}])
    with talking(f"sqlite:///{tmp_path}/x.db", stub, **settings(receiver)) as client:
        Ide(client, 2, session_id="s").say("hi", agent_type="ask")
        wait_for(lambda: len(receiver.got) == 1)
        write(tmp_path, "update webhooks set next_at = '2020'")
        wait_for(lambda: len(receiver.got) == 2)
    first, second = receiver.events()
    assert first == second, "the same event, with the same id"


def test_tries_are_bounded_and_nothing_is_left(stub: OpenAIStub, receiver: Receiver, tmp_path: Path) -> None:
    receiver.statuses = [500] * 10
    stub.script([{"text": "hello"}])
    with talking(f"sqlite:///{tmp_path}/x.db", stub, **settings(receiver)) as client:
        Ide(client, 2, session_id="s").say("hi", agent_type="ask")
        wait_for(lambda: 'webhooks_total{result="failed"} 1.0' in client.get("/metrics").text)
        assert rows(tmp_path) == 1
        write(tmp_path, f"update webhooks set next_at = '2020', tries = {MAX_TRIES - 1}")
        wait_for(lambda: rows(tmp_path) == 0)
    assert len(receiver.got) == 2


def write(tmp_path: Path, statement: str) -> None:
    connection = sqlite3.connect(f"{tmp_path}/x.db", timeout=20)
    connection.execute(statement)
    connection.commit()
    connection.close()


def rows(tmp_path: Path) -> int:
    connection = sqlite3.connect(f"{tmp_path}/x.db")
    try:
        return int(connection.execute("select count(*) from webhooks").fetchone()[0])
    finally:
        connection.close()


def test_a_receiver_that_is_not_public_is_refused_and_its_rows_go_with_the_session(
    stub: OpenAIStub, receiver: Receiver, tmp_path: Path
) -> None:
    stub.script([{"text": "hello"}])
    with talking(f"sqlite:///{tmp_path}/x.db", stub, **settings(receiver, webhook_allow_private=False)) as client:
        Ide(client, 2, session_id="s").say("hi", agent_type="ask")
        wait_for(lambda: 'webhooks_total{result="refused"} 1.0' in client.get("/metrics").text)
        assert rows(tmp_path) == 1
        assert client.delete("/sessions/s", params={"hard": "true"}).status_code == 200
        assert rows(tmp_path) == 0
    assert receiver.got == []


NOT_PUBLIC = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "fec0::1",
    "5f00::1",
    "3fff::1",
    "192.0.0.8",
    "192.88.99.1",
    "2002:c000:0008::",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


def test_rows_that_cannot_be_written_hold_up_no_other(
    postgres: PostgresServer, stub: OpenAIStub, receiver: Receiver
) -> None:
    stub.responder = lambda _: {"text": "Done."}
    with postgres.database() as url, talking(url, stub, **settings(receiver)) as client:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                """create function refuse() returns trigger language plpgsql as
                   $$ begin raise exception 'refused'; end $$;
                   create trigger refuse before update on webhooks for each row
                   when (old.session_id = 'bad') execute function refuse()"""
            )
        for turn in range(2 * AT_ONCE):
            Ide(client, session_id="bad").say(f"Turn {turn}.", agent_type="coder")
        Ide(client, session_id="good").say("Hello.", agent_type="coder")
        wait_for(lambda: [event["session_id"] for event in receiver.events()] == ["good"])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop trigger refuse on webhooks")
        wait_for(lambda: len(receiver.got) == 2 * AT_ONCE + 1)
