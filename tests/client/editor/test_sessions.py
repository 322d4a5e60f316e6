"""Sessions of an editor: begun, listed, shown again, taken up, closed; agents as modes; what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from acp import RequestError
from acp.agent.router import build_agent_router
from acp.meta import AGENT_METHODS
from acp.schema import ImageContentBlock, ResourceContentBlock, TextContentBlock

from client.editor.agent import EditorAgent
from client.editor.servers import Servers
from client.own_server import Address
from tests.client.editor.editor import ALL, Editor, in_process
from tests.client.editor.test_turns import WRITE, coder

pytestmark = pytest.mark.timeout(200)


def answered(editor: Editor) -> int:
    """The place of the last response that arrived."""
    return max(at for at, (way, frame) in enumerate(editor.frames) if way == "in" and "result" in frame)


async def test_nothing_of_a_session_comes_before_the_response_that_begins_it(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await editor.begin(tmp_path)
        begun = answered(editor)
        commands = (await editor.wait_for(lambda: editor.updates("available_commands_update")))[0]
        assert [frame for _, frame in editor.frames[:begun] if frame.get("method") == "session/update"] == []
        assert {"continue", "cost", "rules", "policy"} <= {c["name"] for c in commands["availableCommands"]}
        await editor.wait_for(lambda: editor.updates("current_mode_update", session))


async def test_agents_are_modes_and_a_config_option(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        begun = await editor.agent.new_session(str(tmp_path))
        assert begun.modes is not None
        names = [mode.id for mode in begun.modes.available_modes]
        assert {"coder", "ask", "debug", "architect"} <= set(names)
        await editor.agent.set_session_mode(begun.session_id, "debug")
        await editor.wait_for(lambda: editor.updates("current_mode_update")[-1:] and True)
        done = await editor.agent.set_config_option("mode", begun.session_id, "coder")
        assert done is not None
        assert done.config_options[0].current_value == "coder"
        await editor.agent.set_session_mode(begun.session_id, "coder")
        with pytest.raises(RequestError, match="There is no agent 'nobody'"):
            await editor.agent.set_session_mode(begun.session_id, "nobody")
        with pytest.raises(RequestError, match="There is no option 'model'"):
            await editor.agent.set_config_option("model", begun.session_id, "x")


async def test_router_and_agents_switch_the_mode(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await editor.begin(tmp_path)
        await editor.prompt(session, "list files")
        mode = editor.updates("current_mode_update")[-1]["currentModeId"]
        option = editor.updates("config_option_update")[-1]["configOptions"][0]
        assert mode == option["currentValue"] != "orchestrator"


async def test_session_is_shown_again_after_a_restart(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        read = {"tool": "read_file", "args": {"path": "a.txt"}}
        await editor.says(session, read, WRITE, {"text": "All done."})
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        (listed,) = (await editor.agent.list_sessions(cwd=str(tmp_path))).sessions
        assert (listed.session_id, listed.cwd, listed.title) == (session, str(tmp_path), "#script")
        loaded = await editor.agent.load_session(str(tmp_path), session)
        assert loaded is not None
        assert loaded.modes is not None
        assert loaded.config_options is not None
        assert loaded.modes.current_mode_id == "coder"
        shown = [update["sessionUpdate"] for update in editor.updates()]
        assert shown[0] == "user_message_chunk"
        assert [call["title"] for call in editor.updates("tool_call")] == ["Read a.txt", "Write b.txt"]
        assert [update["status"] for update in editor.updates("tool_call_update")] == ["completed"] * 2
        assert editor.text() == "All done."
        begun = answered(editor)
        await editor.wait_for(lambda: editor.updates("available_commands_update"))
        late = [frame["params"]["update"]["sessionUpdate"] for _, frame in editor.frames[begun + 1 :]]
        assert late[0] == "available_commands_update"
        assert await editor.says(session, {"text": "Still known."}) == "end_turn"


async def test_pending_call_is_told_at_load_and_asked_by_continue(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: None
        asyncio.create_task(editor.says(session, WRITE, {"text": "All done."})).add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )
        await asyncio.wait_for(editor.asked.wait(), 60)
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        await editor.agent.load_session(str(tmp_path), session)
        assert "Send /continue to be asked." in editor.text()
        assert await editor.prompt(session, "/continue") == "end_turn"
        assert (tmp_path / "b.txt").read_text() == "new\n"
        assert editor.text().endswith("All done.")
        assert await editor.prompt(session, "/continue") == "end_turn"
        assert editor.text().endswith("Nothing waits for a decision in this session.")


async def test_resume_shows_nothing_again(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, {"text": "First."})
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        resumed = await editor.agent.resume_session(session, str(tmp_path))
        assert resumed.modes is not None
        await editor.wait_for(lambda: editor.updates("available_commands_update"))
        assert editor.text() == ""
        await editor.says(session, {"text": "Second."})
        assert editor.text() == "Second."


async def test_closed_session_is_forgotten_and_can_be_loaded(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: None
        turn = asyncio.create_task(editor.says(session, WRITE, {"text": "x"}))
        await asyncio.wait_for(editor.asked.wait(), 60)
        await editor.agent.close_session(session)
        assert await turn == "cancelled"
        with pytest.raises(RequestError, match="Resource not found"):
            await editor.says(session, {"text": "x"})
        await editor.agent.load_session(str(tmp_path), session)


async def test_slash_commands_answer_without_a_model(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, {"text": "Hello."})
        await editor.prompt(session, "/policy rm -rf /")
        assert "**deny**" in editor.text()
        await editor.prompt(session, "/rules")
        await editor.prompt(session, "/cost")
        assert "- requests: 1" in editor.text()
        assert "- cost: no price for fake-llm" in editor.text()


async def test_linked_and_embedded_resources_reach_the_model(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        blocks: list[Any] = [
            TextContentBlock(type="text", text="Look at "),
            ResourceContentBlock(type="resource_link", name="a.py", uri=f"file://{tmp_path}/a.py"),
        ]
        await editor.agent.prompt(session, blocks)
        await editor.agent.load_session(str(tmp_path), session)
        (asked,) = editor.updates("user_message_chunk")
        assert asked["content"]["text"] == f"Look at [a.py](file://{tmp_path}/a.py)"
        with pytest.raises(RequestError, match="cannot read a block of type 'image'"):
            await editor.agent.prompt(session, [ImageContentBlock(type="image", data="", mime_type="image/png")])


@pytest.mark.parametrize("cwd", ["relative", "/does/not/exist"])
async def test_folder_that_cannot_be_used_is_refused(servers: Servers, cwd: str) -> None:
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        with pytest.raises(RequestError, match="cwd must be the absolute path of a folder") as refused:
            await editor.agent.new_session(cwd)
        assert refused.value.code == -32602


async def test_unknown_session_is_not_found(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        for request in (
            editor.agent.load_session(str(tmp_path), "unknown"),
            editor.agent.resume_session("unknown", str(tmp_path)),
            editor.agent.set_session_mode("unknown", "coder"),
            editor.agent.close_session("unknown"),
        ):
            with pytest.raises(RequestError) as refused:
                await request
            assert refused.value.code == -32002


async def test_cursor_of_another_list_is_refused(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        await editor.begin(tmp_path)
        for cursor in ("garbage", "-5", "", "٣"):
            with pytest.raises(RequestError, match="cursor"):
                await editor.agent.list_sessions(cursor=cursor)
        assert (await editor.agent.list_sessions(cursor="50")).sessions == []


async def test_meta_of_a_request_is_passed_over(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        await editor.agent.initialize(1)
        begun = await editor.agent.new_session(str(tmp_path), anything=1, traceparent="00-1-2-03")
        assert await editor.says(begun.session_id, {"text": "Fine."}) == "end_turn"


async def test_missing_key_is_said_and_nothing_else_is_served(address: Address, tmp_path: Path) -> None:
    async with in_process(Servers(url=address.url)) as editor:
        hello = await editor.agent.initialize(1)
        assert hello.auth_methods is not None
        assert [method.id for method in hello.auth_methods] == ["key"]
        with pytest.raises(RequestError) as refused:
            await editor.agent.new_session(str(tmp_path))
        assert refused.value.code == -32000


async def test_wrong_key_is_authentication_required(address: Address, tmp_path: Path) -> None:
    async with in_process(Servers(url=address.url, key="wrong")) as editor:
        assert (await editor.agent.initialize(1)).auth_methods == []
        with pytest.raises(RequestError) as refused:
            await editor.agent.new_session(str(tmp_path))
        assert refused.value.code == -32000


async def test_only_what_is_answered_is_advertised(servers: Servers) -> None:
    """Every method of the protocol is called: what is advertised is routed."""
    router = build_agent_router(EditorAgent(servers), use_unstable_protocol=True)  # type: ignore[arg-type]

    async def is_routed(method: str) -> bool:
        try:
            await router(method, {}, method == "session/cancel")
        except RequestError as error:
            return error.code != -32601
        except ValueError:
            return True  # the parameters do not fit: the method exists
        return True

    routed = {method for method in AGENT_METHODS.values() if await is_routed(method)}
    hello = await EditorAgent(servers).initialize(1)
    assert hello.agent_capabilities is not None
    sessions = hello.agent_capabilities.session_capabilities
    assert sessions is not None
    advertised = {f"session/{name}" for name in sessions.model_fields_set}
    assert advertised == {"session/list", "session/resume", "session/close"}
    assert advertised | {"session/load", "session/new", "session/prompt", "session/cancel"} <= routed
    for absent in ("session/fork", "session/delete", "logout"):
        assert absent not in routed
