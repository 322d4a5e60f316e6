"""A server that is killed while a tool call waits: the session goes on from the database."""

from __future__ import annotations

import os
import signal
import socket
import time

import httpx
import pytest

from tests.client.preloaded import Forked
from tests.ide import Ide, answer_of, of_type
from tests.running import KEY, api_client


class ServerProcess:
    """`agent-runtime serve` as a process of its own."""

    def __init__(self, db_url: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        prefix = "AGENT_RUNTIME__"
        environment = {
            **os.environ,
            f"{prefix}DB_URL": db_url,
            f"{prefix}INTERNAL_API_KEY": KEY,
            f"{prefix}PORT": str(self.port),
            f"{prefix}LOG_LEVEL": "WARNING",
        }
        with open(os.devnull, "r+") as nothing:
            self.process = Forked(["serve"], [nothing.fileno()] * 3, env=environment)
        self.client = api_client(f"http://127.0.0.1:{self.port}")
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "the server ended while it started"
            assert time.monotonic() < deadline, "the server did not start in 30 s"
            try:
                if self.client.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)

    def kill(self) -> None:
        """As the system's out-of-memory killer does it."""
        self.client.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """As an operator does it; the exit status."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.mark.timeout(120)
def test_the_session_goes_on_after_a_kill(db_url: str) -> None:
    first = ServerProcess(db_url)
    chunks = Ide(first.client, session_id="s1").say('Create a file a.txt with content "x" then read a.txt')
    call = of_type(chunks, "tool_call")[0]
    assert call["requires_approval"]
    first.kill()

    second = ServerProcess(db_url)
    pending = second.client.get("/sessions/s1/pending-approvals").json()["pending_approvals"]
    assert [row["call_id"] for row in pending] == [call["call_id"]]
    Ide(second.client, session_id="s1").decide(call["call_id"], "approve")
    second.kill()

    third = ServerProcess(db_url)
    again = Ide(third.client, session_id="s1").decide(call["call_id"], "approve")
    assert of_type(again, "status")[0]["metadata"]["status"] == "approved"
    chunks = Ide(third.client, session_id="s1").result(call["call_id"], {"success": True, "bytes_written": 1})
    read = of_type(chunks, "tool_call")[0]
    assert (read["tool_name"], read["arguments"]) == ("read_file", {"path": "a.txt"})
    chunks = Ide(third.client, session_id="s1").result(
        read["call_id"], {"success": True, "content": "x", "lines_read": 1}
    )
    assert "a.txt" in (answer_of(chunks) or "")
    assert third.stop() in (0, -signal.SIGTERM)
