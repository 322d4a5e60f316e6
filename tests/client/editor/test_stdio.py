"""`agent-runtime acp` as a process: its own server, nothing but the protocol on its output, load after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from acp import RequestError, spawn_agent_process
from acp.schema import ClientCapabilities

from tests.client.editor.editor import ALL, Editor
from tests.client.terminal.person import COMMAND

pytestmark = pytest.mark.timeout(300)
WRITE: dict[str, Any] = {"tool": "write_file", "args": {"path": "b.txt", "content": "new\n"}}


@asynccontextmanager
async def as_process(*options: str, **settings: str) -> AsyncIterator[Editor]:
    """An editor that starts the command; at the end the input is closed and the process ends by itself."""
    editor = Editor()
    async with (
        asyncio.timeout(200),
        spawn_agent_process(
            cast(Any, editor),
            COMMAND,
            "acp",
            *options,
            env={**os.environ, **settings},
            transport_kwargs={"shutdown_timeout": 60.0},
            use_unstable_protocol=True,
            observers=[editor.observe],
        ) as (connection, process),
    ):
        editor.agent = connection
        yield editor
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def begin(editor: Editor, cwd: Path, capabilities: ClientCapabilities | None = None) -> str:
    session = await editor.begin(cwd, capabilities)
    await editor.agent.set_session_mode(session, "coder")
    return session


async def test_prompt_with_read_and_approved_write_and_load_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    async with as_process() as editor:
        session = await begin(editor, tmp_path, ALL)
        read = {"tool": "read_file", "args": {"path": "a.txt"}}
        assert await editor.says(session, read, WRITE, {"text": "All done."}) == "end_turn"
        assert (tmp_path / "b.txt").read_text() == "new\n"
        # A second process, while the first serves the database: it has its own, and cannot take the session over.
        async with as_process() as second:
            other = await begin(second, tmp_path)
            assert await second.says(other, {"text": "Side by side."}) == "end_turn"
            with pytest.raises(RequestError, match="open in another window"):
                await second.agent.load_session(str(tmp_path), session)
    async with as_process() as editor:
        await editor.agent.initialize(1)
        listed = (await editor.agent.list_sessions()).sessions
        assert {row.session_id for row in listed} == {session, other}
        await editor.agent.load_session(str(tmp_path), session)
        await editor.agent.load_session(str(tmp_path), other)
        assert editor.text(session) == "All done."
        assert editor.text(other) == "Side by side."


def test_output_is_the_protocol_alone_and_nonsense_is_survived(tmp_path: Path) -> None:
    lines = [
        "no JSON",
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 2}}),
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "session/new", "params": {"cwd": "x", "mcpServers": []}}),
        json.dumps({"jsonrpc": "2.0", "id": 3, "method": "no/such", "params": {}}),
    ]
    process = subprocess.Popen(
        [COMMAND, "acp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(lines) + "\n")
    process.stdin.flush()
    first = [process.stdout.readline() for _ in range(3)]
    rest, _ = process.communicate(timeout=100)
    assert (process.returncode, rest) == (0, "")
    replies = {reply["id"]: reply for reply in map(json.loads, first)}
    assert replies[1]["result"]["protocolVersion"] == 1
    assert (replies[2]["error"]["code"], replies[3]["error"]["code"]) == (-32602, -32601)
    assert str(tmp_path) not in "".join(first)


def test_options_that_cannot_be_used_are_one_sentence() -> None:
    for options in (["--url", "nonsense"], ["--url", "http://127.0.0.1:1", "--db", "x.db"]):
        done = subprocess.run([COMMAND, "acp", *options], input="", capture_output=True, text=True, timeout=100)
        assert done.returncode == 2
        assert (done.stdout, len(done.stderr.strip().splitlines())) == ("", 1)
