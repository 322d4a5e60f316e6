"""`agent-runtime console`: a person works in the browser alone, in one folder, with a server of the command's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import WAIT_MS, needs_browser

ROOT = Path(__file__).parents[2]
pytestmark = needs_browser


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The command on a folder of its own: the address that it prints, and the folder."""
    workspace, home = tmp_path / "workspace", tmp_path / "home"
    workspace.mkdir()
    home.mkdir()
    (workspace / "a.txt").write_text("one\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_RUNTIME__", "XDG_"))}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "agent_runtime.py"), "console", "--workspace", str(workspace), "--no-browser"],
        env={**kept, "HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        try:
            yield address, workspace
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def test_a_person_works_in_a_folder_from_the_browser_alone(command: tuple[str, Path], tab: Page) -> None:
    address, workspace = command
    tab.goto(address)
    expect(tab.get_by_text(f"runs tools in {workspace}")).to_be_visible()
    assert "key" not in tab.url, "the key stays in no history"
    tab.get_by_role("button", name="New session").click()
    tab.get_by_label("Message").fill('Read a.txt, then create a file notes/b.txt with content "two"')
    tab.get_by_role("button", name="Send").click()
    card = tab.locator(".waiting")
    expect(card.locator(".added")).to_have_text("+two")
    assert not (workspace / "notes").exists(), "nothing is written before it is approved"
    card.get_by_role("button", name="Approve").click()
    expect(tab.locator("[data-kind=done]").last).to_contain_text("completed")
    assert (workspace / "notes" / "b.txt").read_text(encoding="utf-8").strip() == "two"
    expect(tab.locator("[data-kind=call][data-state=finished]")).to_have_count(2)


def test_a_rejected_call_never_runs(command: tuple[str, Path], tab: Page) -> None:
    address, workspace = command
    tab.goto(address)
    tab.get_by_role("button", name="New session").click()
    tab.get_by_label("Message").fill('Create a file b.txt with content "two"')
    tab.get_by_role("button", name="Send").click()
    tab.locator(".waiting").get_by_role("button", name="Reject").click()
    tab.locator(".waiting").get_by_role("button", name="Reject").click()
    expect(tab.locator("[data-kind=done]").last).to_contain_text("completed")
    assert sorted(path.name for path in workspace.iterdir() if not path.name.startswith(".")) == ["a.txt"]


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "agent_runtime.py"), "console", "-w", str(tmp_path), "--url", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--workspace" in done.stderr
