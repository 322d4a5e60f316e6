"""Runs the tool calls of the sessions that the page begins in one folder, with the terminal client's executor."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from client.own_server import Address
from client.session import ServerRefused, ServerUnreachable, Session
from client.time_limit import TimeLimit
from client.workspace.executor import Executor, ToolOutcome
from client.workspace.request import ToolRequest
from wire.protocol import Chunk

POLL_S = 0.3
RETRY_S = 1.0
CALL_LIMIT_S = 600.0
NEWEST = 50
"""So many of the newest sessions are looked at; a session that is worked in is among them."""
_MAY_RUN = frozenset({"executing", "approved", "edited"})
_log = logging.getLogger("console.runner")


def prefix_of(folder: Path) -> str:
    """Return how the ids of a folder's sessions begin: a runner touches no session of another client."""
    return f"console-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}-"


class Runner:
    """Follows the sessions of one folder; their calls run one at a time, as the log says that they may."""

    def __init__(self, address: Address, executor: Executor, prefix: str) -> None:
        self._address = address
        self._executor = executor
        self._prefix = prefix
        self._stopping = threading.Event()
        self._calls = ThreadPoolExecutor(1, "console-call")
        self._followed: set[str] = set()
        self._running: str | None = None
        """The session whose call runs."""
        self._watcher = threading.Thread(target=self._watch, name="console-runner", daemon=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Work while the block runs; a command that still runs is ended."""
        self._watcher.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._executor.stop()
            self._calls.shutdown(wait=False, cancel_futures=True)
            self._watcher.join(RETRY_S * 2)

    def _session(self, session_id: str | None = None) -> Session:
        return Session(self._address.url, self._address.key, TimeLimit(CALL_LIMIT_S), session_id, client="console")

    def _watch(self) -> None:
        with contextlib.closing(self._session()) as session:
            while not self._stopping.wait(POLL_S):
                try:
                    rows = session.get("/sessions", limit=str(NEWEST)).get("sessions", [])
                except (ServerUnreachable, ServerRefused):
                    self._stopping.wait(RETRY_S)
                    continue
                for row in rows:
                    found = str(row["id"])
                    if found.startswith(self._prefix) and found not in self._followed and row["status"] != "idle":
                        self._followed.add(found)
                        threading.Thread(target=self._follow, args=(found,), name="console-follow", daemon=True).start()

    def _follow(self, session_id: str) -> None:
        calls: dict[str, Chunk] = {}
        after = 0
        with contextlib.closing(self._session(session_id)) as session:
            while not self._stopping.is_set():
                try:
                    for seq, chunk in session.log_after(after, follow=True):
                        after = seq
                        self._take(session_id, calls, chunk)
                except ServerUnreachable:
                    self._stopping.wait(RETRY_S)
                except ServerRefused as refusal:
                    if not refusal.is_passing:
                        self._followed.discard(session_id)
                        return
                    self._stopping.wait(RETRY_S)

    def _take(self, session_id: str, calls: dict[str, Chunk], chunk: Chunk) -> None:
        about = chunk.metadata or {}
        if chunk.type == "tool_call":
            calls[str(chunk.call_id)] = chunk
            if not chunk.requires_approval:
                self._calls.submit(self._run, session_id, chunk, None)
        elif chunk.type == "status" and about.get("status") in ("approved", "approved_with_edits"):
            approved = calls.get(str(about.get("call_id")))
            if approved is not None:
                self._calls.submit(self._run, session_id, approved, about.get("arguments"))
        elif chunk.type == "error" and about.get("code") == "cancelled" and self._running == session_id:
            self._executor.stop()

    def _run(self, session_id: str, call: Chunk, edited: dict[str, Any] | None) -> None:
        """Run one call that still waits for its result, and send what came of it."""
        with contextlib.closing(self._session(session_id)) as session:
            try:
                place = f"/sessions/{session_id}/calls/{quote(str(call.call_id), safe='')}/result"
                if session.get(place)["state"] not in _MAY_RUN:
                    return
                self._running = session_id
                outcome = self._outcome(call, edited)
                sent = session.send(outcome.as_message(str(call.call_id)))
                next(sent, None)  # the answer is followed in the log
                sent.close()  # type: ignore[attr-defined] # a generator
            except (ServerUnreachable, ServerRefused) as problem:
                fields = {"action": "call_not_answered", "session": session_id, "call": call.call_id}
                _log.warning("the result of a call was not taken: %s", problem.message, extra=fields)
            finally:
                self._running = None

    def _outcome(self, call: Chunk, edited: dict[str, Any] | None) -> ToolOutcome:
        request = ToolRequest.of(call)
        if edited is not None:
            request = replace(request, arguments=dict(edited))
        examination = self._executor.examine(request)
        if examination.refusal is not None:
            return ToolOutcome(error=examination.refusal)
        if examination.concerns:
            found = " ".join(concern.text for concern in examination.concerns)
            return ToolOutcome(error=f"The client did not run this call, nobody can be asked on the page: {found}")
        return self._executor.execute(examination, CALL_LIMIT_S)
