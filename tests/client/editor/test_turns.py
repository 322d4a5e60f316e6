"""Turns of an editor against the real server: what is shown, asked, done and cancelled."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from acp import RequestError

from client.editor.servers import Servers
from client.own_server import Address
from tests.client.editor.editor import ALL, Editor, in_process
from tests.client.processes import running, wait_until_ended
from tests.running import KEY, running_server

pytestmark = pytest.mark.timeout(200)
READ: dict[str, Any] = {"tool": "read_file", "args": {"path": "a.txt"}}
WRITE: dict[str, Any] = {"tool": "write_file", "args": {"path": "b.txt", "content": "new\n"}}


async def coder(editor: Editor, cwd: Path, capabilities: Any = None) -> str:
    session = await editor.begin(cwd, capabilities)
    await editor.agent.set_session_mode(session, "coder")
    return session


async def test_answer_streams_as_one_message(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        assert await editor.says(session, {"repeat": "word ", "times": 40}) == "end_turn"
        chunks = editor.updates("agent_message_chunk")
        assert editor.text() == "word " * 40
        assert len({chunk["messageId"] for chunk in chunks}) == 1


async def test_read_needs_no_question_and_names_its_file(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        args = {"path": "a.txt", "start_line": 2, "end_line": 2}
        await editor.says(session, {"tool": "read_file", "args": args}, {"text": "Read."})
        (call,) = editor.updates("tool_call")
        assert (call["kind"], call["title"], call["rawInput"]) == ("read", "Read a.txt lines 2-2", args)
        assert call["locations"] == [{"path": str(tmp_path / "a.txt"), "line": 2}]
        assert [update["status"] for update in editor.updates("tool_call_update")] == ["completed"]
        assert editor.requests("session/request_permission") == []


async def test_write_is_asked_with_its_whole_content_again(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("old\n")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, {"tool": "read_file", "args": {"path": "b.txt"}}, WRITE, {"text": "All done."})
        (request,) = editor.requests("session/request_permission")
        call = request["toolCall"]
        shown = editor.updates("tool_call")[-1]
        for field in ("title", "kind", "locations", "rawInput", "content"):
            assert call[field] == shown[field]
        diff = call["content"][0]
        assert diff == {"type": "diff", "path": str(tmp_path / "b.txt"), "oldText": "old\n", "newText": "new\n"}
        assert (tmp_path / "b.txt").read_text() == "new\n"
        statuses = [u["status"] for u in editor.updates("tool_call_update") if u["toolCallId"] == call["toolCallId"]]
        assert statuses == ["in_progress", "completed"]
        assert editor.text() == "All done."


async def test_changes_of_an_approved_command_are_diffs_and_undo_takes_them_back(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("old\n")
    (tmp_path / ".env").write_text("KEY=secret\n")
    command = "sed -i s/old/new/ a.txt; echo 1 > b.txt; echo KEY=other > .env"
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        run = {"tool": "execute_command", "args": {"command": command, "shell": True}}
        await editor.says(session, run, {"text": "Done."})
        content = editor.updates("tool_call_update")[-1]["content"]
        diffs = {part["path"]: part for part in content if part["type"] == "diff"}
        assert diffs == {
            str(tmp_path / name): {"type": "diff", "path": str(tmp_path / name), "newText": after}
            | ({"oldText": before} if before is not None else {})
            for name, before, after in (("a.txt", "old\n", "new\n"), ("b.txt", None, "1\n"))
        }
        assert "secret" not in str(content)
        await editor.prompt(session, "/undo")
        assert "put back: a.txt" in editor.text()
        assert (tmp_path / "a.txt").read_text() == "old\n"
        assert (tmp_path / ".env").read_text() == "KEY=secret\n"
        assert not (tmp_path / "b.txt").exists()


async def test_always_is_remembered_by_the_session(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda request: next(
            option["optionId"] for option in request["options"] if option["kind"] == "allow_always"
        )
        build = {"tool": "execute_command", "args": {"command": "pytest --version"}}
        await editor.says(session, build, build, {"text": "Done."})
        (request,) = editor.requests("session/request_permission")
        kinds = [option["kind"] for option in request["options"]]
        assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == ("allow_once", {"allow_always"}, "reject_once")
        assert len(editor.updates("tool_call")) == 2


async def test_editor_that_cannot_ask_approves_nothing(servers: Servers, tmp_path: Path) -> None:
    def fail(_: Any) -> str:
        raise RequestError.method_not_found("session/request_permission")

    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = fail
        assert await editor.says(session, WRITE, {"text": "Understood."}) == "end_turn"
        assert not (tmp_path / "b.txt").exists()


@pytest.mark.parametrize("answer", [{"outcome": {}}, {}, {"outcome": {"outcome": "selected"}}, {"outcome": "approve"}])
async def test_a_malformed_permission_approves_nothing_and_ends_no_turn(
    servers: Servers, tmp_path: Path, answer: dict[str, Any]
) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.malformed = {"request_permission": answer}
        assert await editor.says(session, WRITE, {"text": "Understood."}) == "end_turn"
        assert editor.text().endswith("Understood.")
        assert not (tmp_path / "b.txt").exists()


async def test_malformed_text_of_a_file_is_read_from_the_disk(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("on the disk\n", "utf-8")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        for answer in ({}, {"content": None}, {"content": ["on", "the disk"]}):
            editor.malformed = {"read_text_file": answer}
            assert await editor.says(session, READ, {"text": "Read."}) == "end_turn"
        ended = [update for update in editor.updates("tool_call_update") if update["status"] == "completed"]
        assert ["on the disk" in str(update["rawOutput"]) for update in ended] == [True, True, True]


async def test_malformed_form_leaves_the_question_to_the_next_prompt(servers: Servers, tmp_path: Path) -> None:
    asks = {"tool": "ask_followup_question", "args": {"question": "Which one?", "suggestions": ["red", "blue"]}}
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        editor.malformed = {"create_elicitation": {"action": "shrug"}}
        assert await editor.says(session, asks, {"text": "Blue it is."}) == "end_turn"
        assert await editor.prompt(session, "blue") == "end_turn"
        assert editor.text().endswith("Blue it is.")


async def test_no_always_where_the_policy_offers_none(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: "reject"
        await editor.says(session, {"tool": "execute_command", "args": {"command": "rm -rf build"}}, {"text": "Ok."})
        (request,) = editor.requests("session/request_permission")
        assert [option["kind"] for option in request["options"]] == ["allow_once", "reject_once"]
        assert request["toolCall"]["title"] == "`rm -rf build`"
        assert "Danger: **high**" in request["toolCall"]["content"][0]["content"]["text"]


async def test_rejected_call_never_runs(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: "reject"
        assert await editor.says(session, WRITE, {"text": "Understood."}) == "end_turn"
        assert not (tmp_path / "b.txt").exists()
        assert editor.updates("tool_call_update")[-1]["status"] == "failed"
        assert editor.text() == "Understood."


async def test_secret_is_not_read_past_the_policy(servers: Servers, tmp_path: Path) -> None:
    """The rules hold although the editor could read every file."""
    (tmp_path / ".env").write_text("KEY=1\n")
    (tmp_path / "notes.txt").symlink_to("/etc/hostname")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        editor.choose = lambda _: "reject"
        await editor.says(
            session,
            {"tool": "read_file", "args": {"path": ".env"}},
            {"tool": "read_file", "args": {"path": "notes.txt"}},
            {"text": "Neither."},
        )
        assert editor.requests("fs/read_text_file") == []


async def test_unsaved_text_is_what_is_read_compared_and_bound_to(servers: Servers, tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
    file.write_text("saved\n")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        editor.buffers[str(file)] = "unsaved\n"
        await editor.says(session, {"tool": "read_file", "args": {"path": "b.txt"}}, WRITE, {"text": "Done."})
        read = next(update for update in editor.updates("tool_call_update") if update["status"] == "completed")
        assert read["rawOutput"]["content"] == "unsaved\n"
        (request,) = editor.requests("session/request_permission")
        assert request["toolCall"]["content"][0]["oldText"] == "unsaved\n"
        assert editor.written == {str(file): "new\n"}
        kept = list((tmp_path / ".agent-runtime/backups").glob("*/b.txt"))
        assert [copy.read_text() for copy in kept] == ["unsaved\n"]


async def test_text_typed_after_the_read_is_not_overwritten(servers: Servers, tmp_path: Path) -> None:
    file = tmp_path / "b.txt"
    file.write_text("saved\n")
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)

        def type_meanwhile(_: Any) -> str:
            editor.buffers[str(file)] = "typed by the user\n"
            return "approve"

        editor.choose = type_meanwhile
        await editor.says(session, {"tool": "read_file", "args": {"path": "b.txt"}}, WRITE, {"text": "Done."})
        assert editor.written == {}
        assert file.read_text() == "saved\n"
        assert "changed since it was read" in str(editor.updates("tool_call_update")[-1])


async def test_cancel_ends_a_running_command(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        turn = asyncio.create_task(
            editor.says(session, {"tool": "execute_command", "args": {"command": "sleep 61.75"}}, {"text": "Slept."})
        )
        await editor.wait_for(lambda: running("sleep", "61.75"))
        await editor.agent.cancel(session)
        assert await turn == "cancelled"
        wait_until_ended("sleep", "61.75")
        assert "Slept." not in editor.text()
        assert await editor.says(session, {"text": "Here again."}) == "end_turn"
        assert editor.text().endswith("Here again.")


async def test_cancel_withdraws_an_open_permission(servers: Servers, address: Address, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: None
        turn = asyncio.create_task(editor.says(session, WRITE, {"text": "Done."}))
        await asyncio.wait_for(editor.asked.wait(), 60)
        await editor.agent.cancel(session)
        assert await turn == "cancelled"
        with rest(address) as http:
            assert http.get(f"/sessions/{session}/pending-approvals").json()["count"] == 0


async def test_permission_answered_cancelled_cancels_the_turn(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: "cancelled"
        assert await editor.says(session, WRITE, {"text": "Done."}) == "cancelled"
        assert not (tmp_path / "b.txt").exists()


async def test_cancel_without_a_turn_does_nothing(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.agent.cancel(session)
        assert await editor.says(session, {"text": "Still here."}) == "end_turn"


@pytest.mark.parametrize(("decision", "exists"), [("approve", True), ("reject", False)])
async def test_call_decided_elsewhere_closes_the_question(
    servers: Servers, address: Address, tmp_path: Path, decision: str, exists: bool
) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        editor.choose = lambda _: None
        turn = asyncio.create_task(editor.says(session, WRITE, {"text": "All done."}))
        await asyncio.wait_for(editor.asked.wait(), 60)
        with rest(address) as http:
            (row,) = http.get(f"/sessions/{session}/pending-approvals").json()["pending_approvals"]
            http.post(f"/sessions/{session}/approvals/{row['request_id']}", json={"decision": decision})
        assert await turn == "end_turn"
        assert (tmp_path / "b.txt").exists() is exists
        assert editor.text() == "All done."


async def test_two_prompts_of_a_session_run_one_after_the_other(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        replies = (WRITE, {"text": "First."})
        ends = await asyncio.gather(editor.says(session, *replies), editor.says(session, {"text": "Second."}))
        assert list(ends) == ["end_turn", "end_turn"]
        assert editor.text() == "First.Second."


async def test_two_sessions_at_once_keep_apart(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with in_process(servers) as editor:
        first = await coder(editor, tmp_path / "a")
        second = await coder(editor, tmp_path / "b")
        await asyncio.gather(editor.says(first, WRITE, {"text": "One."}), editor.says(second, WRITE, {"text": "Two."}))
        assert [editor.text(first), editor.text(second)] == ["One.", "Two."]
        assert (tmp_path / "a/b.txt").exists()
        assert (tmp_path / "b/b.txt").exists()


async def test_response_comes_after_the_last_update(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, {"text": "Said."})
        kinds = [frame for way, frame in editor.frames if way == "in"]
        assert kinds[-1]["result"] == {"stopReason": "end_turn"}


async def test_question_is_a_form_where_the_editor_has_forms(servers: Servers, tmp_path: Path) -> None:
    asks = {"tool": "ask_followup_question", "args": {"question": "Which one?", "suggestions": ["red", "blue"]}}
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path, ALL)
        editor.form = {"choice": "blue"}
        assert await editor.says(session, asks, {"text": "Blue it is."}) == "end_turn"
        (form,) = editor.requests("elicitation/create")
        assert form["message"] == "Which one?"
        assert form["requestedSchema"]["properties"]["choice"]["enum"] == ["red", "blue"]
        assert editor.text().endswith("Blue it is.")


async def test_question_without_forms_ends_the_turn_and_the_next_prompt_answers(
    servers: Servers, tmp_path: Path
) -> None:
    asks = {"tool": "ask_followup_question", "args": {"question": "Which one?", "suggestions": ["red", "blue"]}}
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        assert await editor.says(session, asks, {"text": "Blue it is."}) == "end_turn"
        assert editor.text() == "Which one?\n\n1. red\n2. blue"
        assert await editor.prompt(session, "blue") == "end_turn"
        assert editor.text().endswith("Blue it is.")


async def test_a_used_up_budget_is_asked_about_like_a_question(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"db_url": f"sqlite:///{tmp_path}/x.db", "budget_tokens_per_session": 1}
    folder = tmp_path / "project"
    folder.mkdir()
    with running_server(**settings) as url, closing(Servers(url=url, key=KEY)) as servers:
        async with in_process(servers) as editor:
            session = await coder(editor, folder, ALL)
            assert await editor.says(session, {"text": "One."}) == "end_turn"
            assert editor.requests("elicitation/create") == []
            editor.form = {"choice": "yes"}
            assert await editor.says(session, {"text": "Two."}) == "end_turn"
            (form,) = editor.requests("elicitation/create")
            assert "This session has used" in form["message"]
            assert form["requestedSchema"]["properties"]["choice"]["enum"] == ["yes", "no"]
            assert editor.text().endswith("Two.")


async def test_plan_is_decided_and_its_steps_move(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await editor.begin(tmp_path)
        assert await editor.prompt(session, "plan: create a.txt with `a` then explain a.txt") == "end_turn"
        asked = editor.requests("session/request_permission")[0]["toolCall"]
        assert asked["kind"] == "think"
        plans = editor.updates("plan")
        assert {entry["status"] for entry in plans[0]["entries"]} == {"pending"}
        assert {entry["status"] for entry in plans[-1]["entries"]} == {"completed"}
        assert (tmp_path / "a.txt").exists()


async def test_limit_is_its_own_stop_reason_and_an_error_a_message(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        assert await editor.says(session, {"fail": "llm_bad_reply"}) == "end_turn"
        assert "**Error:**" in editor.text()
        reads = [{"tool": "list_files", "args": {"path": ".", "pattern": f"{n}*"}} for n in range(60)]
        assert await editor.says(session, *reads) == "max_turn_requests"


async def test_undo_puts_the_files_of_the_last_turn_back(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, WRITE, {"text": "Done."})
        assert await editor.prompt(session, "/undo") == "end_turn"
        assert editor.text().endswith("- removed: b.txt")
        assert not (tmp_path / "b.txt").exists()
        await editor.prompt(session, "/redo")
        assert (tmp_path / "b.txt").read_text() == "new\n"
        await editor.prompt(session, "hello")
        await editor.agent.load_session(str(tmp_path), session)
        told = editor.updates("user_message_chunk")[-1]["content"]["text"]
        assert told.startswith("The user undid your last changes")
        assert told.endswith("\n\nhello")


async def test_usage_is_shown_and_zeros_are_not(servers: Servers, tmp_path: Path) -> None:
    async with in_process(servers) as editor:
        session = await coder(editor, tmp_path)
        await editor.says(session, WRITE, {"text": "Done."})
        used = [update["used"] for update in editor.updates("usage_update")]
        assert used
        assert 0 not in used


def rest(address: Address) -> httpx.Client:
    return httpx.Client(base_url=address.url, headers={"X-Internal-Auth": str(address.key)}, trust_env=False)
