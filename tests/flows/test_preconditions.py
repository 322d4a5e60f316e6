"""What a write presumes about its file: derived from the calls that the client carried out in the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.ide import Chunks, Ide, of_type
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

Serve = Callable[..., Ide]
WRITE = {"path": "lib/a.py", "content": "x"}
A, B = "a" * 64, "b" * 64


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "args": arguments, "id": f"c{number}"}


def presumed(chunks: Chunks) -> dict[str, Any] | None:
    found: dict[str, Any] | None = of_type(chunks, "tool_call")[0]["metadata"].get("precondition")
    return found


def test_a_write_presumes_what_the_client_told_of_the_file(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    root = {"workspace_root": "/home/me/app", "tools": ["edit_file"]}
    stub.script(
        [
            call(1, "write_file", **WRITE),
            call(2, "read_file", path="lib/a.py", start_line=2),
            call(3, "write_file", **WRITE),
            call(4, "read_file", path="/home/me/app/lib/a.py"),
            call(5, "write_file", path="./lib//a.py", content="x"),
            call(6, "edit_file", path="lib/a.py", old="x", new="y"),
            call(7, "write_file", path="lib/b.py", content="x"),
            {"text": "Done."},
        ]
    )
    chunks = ide.say("work", agent_type="coder", environment=root)
    assert presumed(chunks) == {"must_not_exist": True}
    chunks = client_error(ide, "c1")
    assert "precondition" not in of_type(chunks, "tool_call")[0]["metadata"]
    assert presumed(ide.result("c2", {"content": "part"})) == {"sha256": None}
    ide.result("c3", {"success": True})
    assert presumed(ide.result("c4", {"content": "x", "sha256": A})) == {"sha256": A}
    assert presumed(ide.result("c5", {"success": True, "sha256": B})) == {"sha256": B}
    assert presumed(ide.result("c6", {"success": True, "replaced": 1})) == {"must_not_exist": True}


def client_error(ide: Ide, call_id: str) -> Chunks:
    return ide.send({"type": "tool_result", "call_id": call_id, "error": "The file exists."})


def test_what_was_read_before_a_restart_is_known_after_it(db_url: str, stub: OpenAIStub) -> None:
    settings: dict[str, Any] = {"db_url": db_url, "llm_model": "scripted", "llm_proxy_url": stub.url}
    stub.script([call(1, "read_file", path="lib/a.py"), {"text": "Read."}, call(2, "write_file", **WRITE)])
    with running_server(**settings) as url, api_client(url) as client:
        Ide(client, session_id="s1").say("read", agent_type="coder")
        Ide(client, session_id="s1").result("c1", {"content": "x", "sha256": A})
    with running_server(**settings) as url, api_client(url) as client:
        assert presumed(Ide(client, session_id="s1").say("write")) == {"sha256": A}


def test_clients_of_version_1_do_not_see_it(serve: Serve, stub: OpenAIStub) -> None:
    ide = serve()
    stub.script([call(1, "write_file", **WRITE)])
    ide.version = 1
    chunks = ide.say("write", agent_type="coder")
    assert of_type(chunks, "tool_call")[0]["metadata"] is None
