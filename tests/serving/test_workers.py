"""`serve --workers N`: several processes on one port behave as one server that does not die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.api.test_prometheus_metrics import figures
from tests.chaos.facts import check_history, check_reader, check_view
from tests.chaos.ide import SurvivingIde, http_client
from tests.chaos.kills import TOOL_CALLS_A_TURN, script
from tests.client.terminal.person import COMMAND
from tests.databases import PostgresServer
from tests.ide import STREAM, chunks_in, request_body, user_message
from tests.openai_stub import OpenAIStub
from tests.serving.served import Served, environment, is_alive, serving

TURNS_AFTER_A_KILL = 2


@pytest.fixture
def served(postgres: PostgresServer, tmp_path: Path) -> Iterator[Served]:
    """Two workers on a database of their own."""
    with postgres.database() as url, serving(url, tmp_path, max_messages=100_000, multi_agent_mode=False) as found:
        yield found


def url_of(served: Served) -> str:
    return environment_of(served.process.pid)["AGENT_RUNTIME__DB_URL"]


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().partition("=")[::2] for entry in entries if entry)


async def test_a_killed_worker_is_replaced_and_nothing_is_lost(served: Served) -> None:
    turns = [0, 0, 0]
    stopped = asyncio.Event()
    db_url = url_of(served)

    async def work(ide: SurvivingIde, number: int, reading: list[asyncio.Task[None]]) -> None:
        async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
            while not stopped.is_set():
                assert await ide.turn(connection, script(turns[number])) == "completed"
                turns[number] += 1
                if turns[number] == 1:
                    reading.append(asyncio.create_task(ide.read()))

    async with http_client() as client:
        ides = [SurvivingIde(served, client, f"w{n}", n, agent="universal") for n in range(3)]  # type: ignore[arg-type]
        reading: list[asyncio.Task[None]] = []
        work_of_all = [asyncio.create_task(work(ide, n, reading)) for n, ide in enumerate(ides)]
        for victim in (1, 2, 1):
            before = list(turns)
            await asyncio.to_thread(served.kill, victim)
            async with asyncio.timeout(60):
                while not all(now >= then + TURNS_AFTER_A_KILL for now, then in zip(turns, before, strict=True)):
                    done = [task for task in work_of_all if task.done()]
                    assert not done, done
                    await asyncio.sleep(0.05)
        stopped.set()
        await asyncio.gather(*work_of_all)
        async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
            for ide, number in zip(ides, turns, strict=True):
                await check_reader(connection, ide)
                check_view(ide.session_id, ide.seen)
                offered = sum(chunk["type"] == "tool_call" for _, chunk in ide.seen)
                assert offered == number * TOOL_CALLS_A_TURN
                roles = [role for role, _ in await check_history(connection, ide.session_id)]
                assert roles.count("user") == number
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    assert [line["worker"] for line in served.lines("worker_ended")] == [1, 2, 1]


async def test_sigterm_lets_running_turns_end_at_every_worker(
    postgres: PostgresServer, stub: OpenAIStub, tmp_path: Path
) -> None:
    stub.responder = lambda _: {"text": "Said in full.", "hold_after": 2}
    model: dict[str, Any] = {"llm_model": "stub", "llm_proxy_url": stub.url, "multi_agent_mode": False}
    with postgres.database() as url, serving(url, tmp_path, **model) as served:
        pids = served.pids()

        async def ask(number: int) -> list[dict[str, object]]:
            body = request_body(user_message("Speak.", agent_type="universal"), f"s{number}")
            async with http_client() as client:  # a connection of its own: any worker may take it
                response = await client.post(f"{served.url}{STREAM}", json=body)
            assert response.status_code == 200, response.text
            return chunks_in(response.text)

        asking: list[asyncio.Task[list[dict[str, object]]]] = []
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as reader, asyncio.timeout(60):
            found: Any = (0, 0)
            while found[1] < 2:
                asking.append(asyncio.create_task(ask(len(asking))))
                while found[0] < len(asking) or stub.agent_calls < len(asking):  # a run without one is handed over
                    running = "select count(*), count(distinct worker) from runs where status = 'running'"
                    found = await (await reader.execute(running)).fetchone()
        served.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(served.until, lambda: len(served.lines("draining")) == 2, "a worker does not drain")
        stub.release()
        for chunks in await asyncio.gather(*asking):
            assert chunks[-1]["type"] == "done"
            assert "".join(str(chunk.get("token") or "") for chunk in chunks) == "Said in full."
        assert await asyncio.to_thread(served.process.wait, 30) == 0
        assert [pid for pid in pids.values() if is_alive(pid)] == []


def test_workers_end_with_a_supervisor_that_is_killed(served: Served) -> None:
    pids = served.pids()
    assert len(pids) == 2
    served.process.kill()
    served.until(lambda: not any(is_alive(pid) for pid in pids.values()), "workers go on without a supervisor")


def test_a_worker_that_dies_again_and_again_is_started_after_growing_pauses(served: Served) -> None:
    for _ in range(3):
        served.kill(1)
    assert [line["seconds"] for line in served.lines("worker_ended")] == [0.5, 1.0, 2.0]
    assert served.process.poll() is None


def test_metrics_of_all_workers_are_added_up_on_the_one_port(served: Served) -> None:
    turns = 8
    for number in range(turns):
        with served.client() as client:  # a connection of its own: any worker may take it
            body = request_body(user_message("hello", agent_type="universal"), f"m{number}")
            assert client.post(STREAM, json=body).status_code == 200

    def count(name: str, **labels: str) -> float | None:
        with served.client() as client:
            found = figures(client.get("/metrics").text)
        return found.get((f"agent_runtime_{name}", tuple(labels.items())))

    completed = [count("turns_total", outcome="completed") for _ in range(8)]
    assert completed == [turns] * 8
    served.until(lambda: count("processes") == 2, "two processes are not counted")
    served.kill(2)
    assert count("turns_total", outcome="completed") == turns
    served.until(lambda: count("processes") == 2, "the dead process is still counted")


async def test_a_burst_of_connections_is_shared_and_the_log_names_the_worker(served: Served) -> None:
    async with http_client() as client:
        answers = await asyncio.gather(*(client.get(f"{served.url}/sessions") for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}

    def logged() -> list[int]:
        return [line["worker"] for line in served.lines("request") if line.get("path") == "/sessions"]

    served.until(lambda: len(logged()) >= 60, "a request is not in the log")
    shares = {worker: logged().count(worker) for worker in (1, 2)}
    assert sum(shares.values()) == 60
    assert min(shares.values()) >= 6, shares


def refusal(**settings: str) -> str:
    done = subprocess.run(
        [COMMAND, "serve", "--port", "0", "--workers", "2"], env=environment(**settings), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_what_workers_cannot_share_is_refused_in_one_sentence(tmp_path: Path) -> None:
    on_sqlite = refusal(db_url=f"sqlite:///{tmp_path}/x.db", internal_api_key="k-12345")
    assert "AGENT_RUNTIME__WORKERS is 2 and AGENT_RUNTIME__DB_URL names a SQLite file" in on_sqlite
    without_key = refusal(db_url="postgresql://nobody@127.0.0.1:1/none")
    assert "AGENT_RUNTIME__INTERNAL_API_KEY is not set" in without_key
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_the_reason_when_no_worker_can_start(postgres: PostgresServer, tmp_path: Path) -> None:
    away = refusal(db_url="postgresql://nobody@127.0.0.1:1/none", internal_api_key="k-12345")
    assert "PostgreSQL does not answer" in away
    with postgres.database() as url:
        missing = refusal(db_url=url, internal_api_key="k-12345", policy_file=str(tmp_path / "none.toml"))
    assert "none.toml" in missing


def test_workers_read_a_rotated_key_when_the_supervisor_gets_sighup(postgres: PostgresServer, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first-key-12345")
    with postgres.database() as url, serving(url, tmp_path, internal_api_key="", internal_api_key_file=file) as served:
        file.write_text("second-key-12345")
        os.kill(served.process.pid, signal.SIGHUP)
        served.until(lambda: len(served.lines("keys_read")) == 2, "not every worker has read the keys again")
        assert sorted(line["worker"] for line in served.lines("keys_read")) == [1, 2]
        assert json.dumps(served.lines()).count("second-key-12345") == 0
