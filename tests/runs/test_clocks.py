"""No process's clock decides anything: the clock of one server is ahead, another's is behind, a third's steps back."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from langgraph.checkpoint.base import id as ids

from storage.checkpoints import number_after
from tests.chaos.clocks import ShiftedInstance
from tests.databases import PostgresServer
from tests.ide import WRITE, Ide, answer_of, of_type, outcome_of
from tests.openai_stub import OpenAIStub
from tests.running import api_client


def instance(db_url: str, shift_s: float, stub: OpenAIStub, **settings: str) -> ShiftedInstance:
    """A server whose model is the stub."""
    return ShiftedInstance(db_url, shift_s, llm_model="scripted", llm_proxy_url=stub.url, **settings)


def said(stub: OpenAIStub) -> list[str]:
    """What the user said in the last request to the model."""
    return [m["content"] for m in stub.last_agent_request["messages"] if m["role"] == "user"]


async def test_servers_with_different_clocks_forget_nothing(postgres: PostgresServer, stub: OpenAIStub) -> None:
    with postgres.database() as url, ExitStack() as stack:
        servers = [instance(url, shift_s, stub, approval_expiry_hours="0.005") for shift_s in (30, -30)]
        try:
            await asyncio.gather(*(server.start() for server in servers))
            clients = [stack.enter_context(api_client(server.url)) for server in servers]

            def turns() -> None:
                talk = [Ide(client, session_id="talk") for client in clients]
                for turn in range(4):
                    stub.add({"text": f"Answer {turn}."})
                    assert answer_of(talk[turn % 2].say(f"Message {turn}.", agent_type="coder")) == f"Answer {turn}."
                    assert said(stub) == [f"Message {n}." for n in range(turn + 1)]

            def superseded_turn() -> None:
                ahead, behind = [Ide(client, session_id="superseded") for client in clients]
                call = {"tool": "write_file", "args": WRITE, "id": "w1"}
                stub.add({"text": "One."}, call, {"text": "Three."}, {"text": "Four."})
                ahead.say("First.", agent_type="coder")
                behind.say("Second.")
                behind.say("Third.")
                ahead.say("Fourth.")
                assert said(stub) == ["First.", "Second.", "Third.", "Fourth."]

            def approval() -> None:
                ahead, behind = [Ide(client, session_id="approval") for client in clients]
                stub.add({"tool": "write_file", "args": WRITE, "id": "w2"}, {"text": "Written."})
                [call] = of_type(behind.say("Write.", agent_type="coder"), "tool_call")
                assert call["requires_approval"]
                ahead.decide("w2", "approve")
                assert answer_of(ahead.result("w2")) == "Written."

            for told in (turns, superseded_turn, approval):
                await asyncio.to_thread(told)
        finally:
            await asyncio.gather(*(server.stop() for server in servers))
        with psycopg.connect(url) as connection:
            row = connection.execute("select extract(epoch from clock_timestamp())").fetchone()
            stamps = connection.execute("select created_at from runs order by number").fetchall()
            stored = connection.execute("select checkpoint_id, parent_checkpoint_id from checkpoints").fetchall()
        assert row is not None
        times = [datetime.fromisoformat(stamp[0]).timestamp() for stamp in stamps]
        assert times == sorted(times), "runs are stamped in the order of their numbers"
        assert float(row[0]) - times[-1] >= -1, "no run was started in the future"
        assert all(parent is None or parent < child for child, parent in stored)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_clock_that_steps_back_forgets_nothing(
    postgres: PostgresServer, sqlite_template: Path, stub: OpenAIStub, tmp_path: Path, kind: str
) -> None:
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'step.db')}"
        else:
            url = stack.enter_context(postgres.database())
        for start in range(2):  # the second process has seen none of the first one's times
            server = instance(url, -3600 * start, stub)
            await server.start()
            try:
                for step in range(2):
                    server.step(-3600 * start - 600 * step)
                    turn = 2 * start + step
                    stub.add({"text": f"Answer {turn}."})
                    with api_client(server.url) as client:
                        ide = Ide(client, session_id="s")
                        chunks = await asyncio.to_thread(ide.say, f"Message {turn}.", agent_type="coder")
                    assert outcome_of(chunks) == "completed"
                    assert said(stub) == [f"Message {n}." for n in range(turn + 1)]
            finally:
                await server.stop()


def test_ids_of_checkpoints_follow_the_greatest_that_was_read() -> None:
    """LangGraph keeps its last timestamp in a private variable; this fails when it moves."""
    seen = ids.uuid6()
    later = ids.UUID(int=seen.int + (3600 * 10**7 << 80))
    number_after(str(later))
    assert str(later) < str(ids.uuid6())
