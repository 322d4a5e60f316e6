"""The console in a real browser, against a real server whose model is scripted."""

from __future__ import annotations

import re
from typing import Any

import httpx
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.console.conftest import BUDGET, log_in, needs_browser
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import KEY

pytestmark = needs_browser
OLD, NEW = "one\ntwo\n", "one\n2\n"


def write(number: int, content: str = NEW) -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": "a.txt", "content": content}, "id": f"w{number}"}


def open_session(page: Page, url: str, ide: Ide) -> None:
    page.goto(f"{url}/console#/session/{ide.session_id}")
    expect(page.locator(".dot.live")).to_be_visible()


def test_a_session_streams_and_a_message_of_the_page_is_answered(page: Page, served: str, stub: OpenAIStub) -> None:
    stub.script([{"text": "Hello **you**."}, {"text": "Again."}])
    page.get_by_role("button", name="New session").click()
    page.get_by_label("Message").fill("Hi there")
    page.get_by_role("combobox", name="Agent").select_option("ask")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("[data-kind=user] .text")).to_have_text("Hi there")
    expect(page.locator("[data-kind=assistant] strong")).to_have_text("you")
    expect(page.locator("[data-kind=done]")).to_contain_text("completed")
    page.get_by_label("Message").fill("And again")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-kind=assistant]")).to_have_count(2)
    kinds = page.locator(".conversation > *").evaluate_all("all => all.map(one => one.dataset.kind)")
    assert [kind for kind in kinds if kind in ("user", "assistant")] == ["user", "assistant"] * 2


def test_a_call_is_approved_with_its_diff_by_the_keyboard(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    read = {"tool": "read_file", "args": {"path": "a.txt"}, "id": "r1"}
    stub.script([read, write(1), {"text": "Written."}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    ide.result("r1", {"success": True, "content": OLD})
    card = page.locator("[data-call=w1]")
    expect(card.locator(".added")).to_have_text("+2")
    expect(card.locator(".removed")).to_have_text("-two")
    expect(card).to_contain_text("against the text that was read last in this session")
    card.focus()
    page.keyboard.press("a")
    expect(card).to_have_count(0)
    expect(page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    decided = [e for e in ide.audit() if e["event"] == "approval_decided"]
    assert (decided[0]["details"]["decision"], decided[0]["details"]["via"]) == ("approve", "console")


def test_a_call_is_rejected_with_words(page: Page, served: str, client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([write(1), {"text": "I will not."}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    card = page.locator("[data-call=w1]")
    card.get_by_role("button", name="Reject").click()
    card.get_by_label("Why not?").fill("Not that file")
    card.get_by_role("button", name="Reject").click()
    expect(card).to_have_count(0)
    open_session(page, served, ide)
    expect(page.locator("[data-kind=assistant]")).to_contain_text("I will not.")
    expect(page.locator("[data-kind=call]")).to_have_attribute("data-state", "rejected")
    assert "Not that file" in ide.tool_messages()["w1"]


def test_a_call_is_edited_before_it_is_approved(page: Page, client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([write(1), {"text": "ok"}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    card = page.locator("[data-call=w1]")
    card.get_by_role("button", name="Edit").click()
    card.get_by_label("Arguments, as JSON").fill("{")
    card.get_by_role("button", name="Approve the edited call").click()
    expect(card.get_by_role("alert")).to_have_text("This is not JSON.")
    card.get_by_label("Arguments, as JSON").fill('{"path": "b.txt", "content": "edited"}')
    card.get_by_role("button", name="Approve the edited call").click()
    expect(card).to_have_count(0)
    decided = next(e for e in ide.audit() if e["event"] == "approval_decided")
    assert decided["details"]["decision"] == "edit"


def test_a_grant_is_remembered_and_revoked(page: Page, served: str, client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([{"tool": "execute_command", "args": {"command": "pytest tests/unit"}, "id": "c1"}, {"text": "ok"}])
    ide = Ide(client)
    ide.say("Test", agent_type="coder", environment={"os": "linux", "shell": "bash"})
    card = page.locator("[data-call=c1]")
    card.get_by_label("Remember").select_option(index=1)
    card.get_by_role("button", name="Approve").click()
    expect(card).to_have_count(0)
    assert ide.get("/rules")["count"] == 1
    open_session(page, served, ide)
    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("This session remembers no approval.")).to_be_visible()
    assert ide.get("/rules")["count"] == 0


def test_what_is_decided_elsewhere_disappears_at_once(page: Page, client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([write(1), {"text": "ok"}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    expect(page.locator("[data-call=w1]")).to_be_visible()
    ide.decide("w1", "reject")
    expect(page.locator("[data-call=w1]")).to_have_count(0)


def test_two_tabs_decide_at_once_and_the_call_is_decided_once(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    stub.script([write(1), {"text": "ok"}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    other = page.context.new_page()
    other.goto(f"{served}/console")
    buttons = [tab.locator("[data-call=w1]").get_by_role("button", name="Approve") for tab in (page, other)]
    for button in buttons:
        expect(button).to_be_visible()
    buttons[0].evaluate("one => one.click()")
    other.evaluate("() => document.querySelector('[data-call=w1] button.yes')?.click()")
    for tab in (page, other):
        expect(tab.locator("[data-call=w1]")).to_have_count(0)
    assert len([e for e in ide.audit() if e["event"] == "approval_decided"]) == 1


def test_a_question_is_answered(page: Page, client: httpx.Client, stub: OpenAIStub) -> None:
    asked = {"question": "Which colour?", "suggestions": ["red", "blue"]}
    stub.script([{"tool": "ask_followup_question", "args": asked, "id": "q1"}, {"text": "Blue it is."}])
    ide = Ide(client)
    ide.say("Paint", agent_type="coder")
    page.get_by_role("button", name="blue").click()
    expect(page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    assert [m["content"] for m in ide.history() if m["role"] == "user"] == ["Paint", "blue"]


def test_a_used_up_budget_is_raised(page: Page, served: str, client: httpx.Client, stub: OpenAIStub) -> None:
    dear = {"usage": {"prompt_tokens": BUDGET, "completion_tokens": 1}}
    stub.script([{"tool": "read_file", "args": {"path": "a.py"}, "id": "r1", **dear}, {"text": "Done."}])
    ide = Ide(client)
    ide.say("Read", agent_type="coder")
    ide.result("r1")
    question = "This turn has used 1,000,001 of 1,000,000 tokens."
    expect(page.get_by_text(question)).to_be_visible()
    page.get_by_role("button", name="yes").click()
    expect(page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    open_session(page, served, ide)
    expect(page.get_by_text("Done.")).to_be_visible()
    expect(page.get_by_text(question)).to_have_count(1)


def test_a_plan_is_reviewed(page: Page, served: str, client: httpx.Client, stub: OpenAIStub) -> None:
    step = {"title": "Form", "description": "Create the form", "agent": "coder", "estimated_time_minutes": 5}
    plan = {"title": "Login", "description": "A login form", "subtasks": [step]}
    stub.script([{"tool": "create_plan", "args": plan, "id": "p1"}, {"text": "Done."}])
    ide = Ide(client)
    ide.say("Plan it", agent_type="architect")
    expect(page.get_by_role("heading", name="Plan: Login")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Nothing waits for a decision.")).to_be_visible()
    open_session(page, served, ide)
    expect(page.locator(".steps li")).to_have_attribute("data-status", "completed")
    expect(page.locator("[data-node=__end__]")).to_have_class(re.compile("lit"))


def test_a_session_is_cancelled_renamed_deleted_and_restored(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    stub.script([write(1)])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    open_session(page, served, ide)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-kind=done]").last).to_contain_text("cancelled")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="Mine")).to_have_count(0)
    page.get_by_role("button", name="Deleted sessions").click()
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("button", name="Back to sessions").click()
    expect(page.get_by_role("link", name="Mine")).to_be_visible()


def test_the_slider_shows_a_past_moment_and_a_fork_goes_on_from_it(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    stub.script([{"text": "First."}, {"text": "Second."}, {"text": "Forked."}])
    ide = Ide(client)
    ide.say("One", agent_type="ask")
    ide.say("Two")
    open_session(page, served, ide)
    expect(page.locator("[data-kind=done]")).to_have_count(2)
    slider = page.get_by_role("slider")
    slider.fill("0")
    expect(page.locator("[data-kind]")).to_have_count(0)
    for count in range(1, int(slider.get_attribute("max") or 0)):
        slider.fill(str(count))
    expect(page.locator("[data-kind=user]")).to_have_count(2)
    expect(page.locator("[data-node=specialist]")).to_have_class(re.compile("lit"))
    page.get_by_role("button", name="Back to now").click()
    page.locator("[data-kind=user]", has_text="Two").get_by_role("button", name="Fork before this").click()
    expect(page.get_by_role("heading", name="Fork of One")).to_be_visible()
    expect(page.locator("[data-kind=user]")).to_have_count(1)
    page.get_by_label("Message").fill("Three")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("[data-kind=assistant]").last).to_contain_text("Forked.")


def test_the_prompt_behind_a_model_call_is_shown(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    stub.script([{"text": "Answered."}])
    ide = Ide(client)
    ide.say("Explain it", agent_type="ask")
    open_session(page, served, ide)
    call = page.locator(".model-calls details").first
    call.locator("summary").first.click()
    expect(call.get_by_label("Prompt")).to_be_visible()
    expect(call).to_contain_text("Messages (1)")
    expect(call.get_by_label("Reply")).to_have_text("Answered.")
    expect(call.locator(".caution")).to_have_count(0)


def test_the_policy_box_shows_a_verdict_with_its_spans(page: Page, served: str) -> None:
    page.goto(f"{served}/console#/policy")
    page.get_by_role("textbox", name="Command").fill("git status && rm -r build")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", name="Verdict: ask")).to_be_visible()
    expect(page.locator("mark").first).to_contain_text("rm")


HOSTILE = """<img src=x onerror="alert(1)"> <script>alert(2)</script> [link](javascript:alert(3))
![p](https://evil.example/p.png) <a href="https://evil.example" onclick="alert(4)">x</a>
<iframe src="https://evil.example"></iframe> <svg onload=alert(5)> [a](data:text/html,<script>alert(6)</script>)

<style>body{background:url(https://evil.example/css)}</style>
"""


def test_hostile_markdown_and_html_run_nothing_and_load_nothing(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub
) -> None:
    dialogs: list[str] = []
    asked: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    page.on("request", lambda request: asked.append(request.url))
    read = {"tool": "read_file", "args": {"path": "a.txt"}, "id": "r1"}
    stub.script(
        [
            read,
            {"tool": "write_file", "args": {"path": "a.txt", "content": HOSTILE}, "id": "w1"},
            {"text": HOSTILE},
        ]
    )
    ide = Ide(client)
    ide.say(HOSTILE, agent_type="coder")
    ide.result("r1", {"success": True, "content": HOSTILE})
    expect(page.locator("[data-call=w1]")).to_be_visible()
    ide.decide("w1", "reject", feedback=HOSTILE)
    open_session(page, served, ide)
    expect(page.locator("[data-kind=assistant]").last).to_contain_text("onerror")
    for summary in page.locator("details.call > summary").all():
        summary.click()
    expect(page.get_by_label("Result").first).to_contain_text("onerror")
    page.mouse.click(10, 10)
    assert dialogs == []
    assert [url for url in asked if not url.startswith((served, "data:,"))] == []
    assert page.locator("main :is(img, script, iframe, style, [onclick], [onerror])").count() == 0
    assert page.locator("main a[href^='javascript' i], main a[href^='data' i]").count() == 0


def test_a_wrong_key_is_refused(browser: Browser, served: str) -> None:
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(f"{served}/console")
    tab.get_by_label("Key", exact=True).fill("wrong")
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("alert")).to_have_text("The server does not accept this key.")
    context.close()


def test_a_login_that_is_over_leads_to_the_login(browser: Browser, served: str) -> None:
    context = browser.new_context()
    tab = context.new_page()
    log_in(tab, served, "expired")
    context.clear_cookies()
    tab.goto(f"{served}/console#/metrics")
    tab.reload()
    expect(tab.get_by_role("button", name="Log in")).to_be_visible()
    context.close()


def test_a_page_of_another_site_can_neither_read_nor_write(page: Page, served: str, client: httpx.Client) -> None:
    made = client.post("/sessions", json={}).json()["id"]
    other = served.replace("127.0.0.1", "localhost")
    tab = page.context.new_page()
    tab.goto(f"{other}/health")
    script = """async (url) => {
        const post = await fetch(url + "/cancel", {method: "POST", mode: "no-cors", credentials: "include"});
        const read = await fetch(url, {credentials: "include"}).then(() => "read", () => "refused");
        return [post.type, read];
    }"""
    assert tab.evaluate(script, f"{served}/sessions/{made}") == ["opaque", "refused"]
    assert client.get(f"/sessions/{made}").status_code == 200
    assert KEY not in page.content()
