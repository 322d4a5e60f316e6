"""Takes the pictures of docs/console.md: `uv run python -m tests.console.pictures docs/images/console`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.console.conftest import launch, log_in
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

USER = "ann"
OLD = "def greet(name):\n    print('Hello ' + name)\n\n\ngreet('you')\n"
NEW = 'def greet(name: str) -> None:\n    """Say hello."""\n    print(f"Hello {name}")\n\n\ngreet("you")\n'
ANSWER = """The greeting is typed now.

- `greet` has a docstring
- the text is an **f-string**

```python
greet("you")
```
"""
STEPS = ("Create the form", "Check the password", "Write the tests")


@contextmanager
def demonstration() -> Iterator[tuple[str, httpx.Client, OpenAIStub]]:
    """A server with a scripted model and sessions in every state."""
    with tempfile.TemporaryDirectory() as folder, OpenAIStub() as stub:
        model = {"llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0}
        with (
            running_server(db_url=f"sqlite:///{folder}/demo.db", **model) as url,
            api_client(url, **{"X-End-User": USER}) as client,
        ):
            yield url, client, stub


def tool(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": name, "args": arguments, "id": f"call_{number}"}


def fill(client: httpx.Client, stub: OpenAIStub) -> dict[str, Ide]:
    """Begin sessions that wait for approvals, for an answer and for a plan, and a finished one."""
    linux = {"os": "linux", "shell": "bash", "workspace_root": "/home/ann/shop"}
    steps = [{"title": s, "description": s, "agent": "coder", "estimated_time_minutes": 5} for s in STEPS]
    stub.script(
        [
            tool(1, "read_file", path="greet.py"),
            tool(2, "write_file", path="greet.py", content=NEW),
            {"text": ANSWER},
            tool(3, "read_file", path="greet.py"),
            tool(4, "write_file", path="greet.py", content=NEW),
            tool(5, "execute_command", command="git status && rm -r build"),
            tool(6, "ask_followup_question", question="Which database?", suggestions=["SQLite", "PostgreSQL"]),
            tool(7, "create_plan", title="A login form", description="Login with a password", subtasks=steps),
        ]
    )  # fmt: skip
    names = ("finished", "write", "command", "question", "plan")
    ides = {name: Ide(client) for name in names}
    for name, number in (("finished", 1), ("write", 3)):
        ides[name].say("Type the greeting", agent_type="coder", environment=linux)
        ides[name].result(f"call_{number}", {"success": True, "content": OLD, "lines_read": 5})
        if name == "finished":
            ides[name].decide("call_2", "approve")
            ides[name].result("call_2", {"success": True})
    ides["command"].say("Clean the build", agent_type="coder", environment=linux)
    ides["question"].say("Build the shop", agent_type="coder", environment=linux)
    ides["plan"].say("Plan the login", agent_type="architect", environment=linux)
    return ides


def take(page: Page, url: str, ides: dict[str, Ide], folder: Path) -> None:
    """Show each view and take its picture."""

    def picture(name: str) -> None:
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    def visit(place: str) -> None:
        page.goto(f"{url}/console#/{place}")

    page.locator(".waiting").nth(3).wait_for()
    picture("inbox")
    visit(f"session/{ides['finished'].session_id}")
    page.locator("[data-kind=done]").last.wait_for()
    page.locator("details.call").last.locator("summary").click()
    picture("session")
    page.locator(".model-calls details").last.locator("summary").first.click()
    page.get_by_label("Prompt").wait_for()
    picture("model-call")
    page.get_by_role("tab", name="Audit").click()
    page.get_by_role("slider").fill("5")
    picture("time")
    visit(f"session/{ides['plan'].session_id}")
    page.locator(".waiting").wait_for()
    picture("plan")
    visit("policy")
    page.get_by_role("button", name="Check").click()
    page.get_by_role("heading", name="Verdict").wait_for()
    picture("policy")
    visit("metrics")
    page.locator(".bars").first.wait_for()
    picture("metrics")


def main(folder: Path) -> None:
    """Take every picture in light, the inbox and a session also in dark and on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    with demonstration() as (url, client, stub):
        ides = fill(client, stub)
        with sync_playwright() as driver:
            browser = launch(driver)
            context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
            page = context.new_page()
            page.goto(f"{url}/console")
            page.get_by_role("button", name="Log in").wait_for()
            page.screenshot(path=folder / "login.png")
            log_in(page, url, USER)
            take(page, url, ides, folder)
            for name, width, height, scheme in (("phone", 390, 844, "light"), ("dark", 1600, 1000, "dark")):
                page.set_viewport_size({"width": width, "height": height})
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # the two words that it takes
                page.goto(f"{url}/console#/")
                page.locator(".waiting").nth(3).wait_for()
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"inbox-{name}.png")
                page.goto(f"{url}/console#/session/{ides['finished'].session_id}")
                page.locator("[data-kind=done]").last.wait_for()
                page.wait_for_timeout(400)
                page.screenshot(path=folder / f"session-{name}.png")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
