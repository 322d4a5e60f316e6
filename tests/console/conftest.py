"""A real browser: Debian's chromium driven by playwright; without one these tests are skipped and say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.openai_stub import OpenAIStub
from tests.running import KEY, api_client, running_server

WAIT_MS = 15_000
BUDGET = 1_000_000
"""Tokens per turn: more than any turn uses that says nothing else."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def playwright_driver(served: str) -> Iterator[Playwright]:
    """Playwright without a browser of its own; its event loop runs in this thread, so it ends with the module."""
    assert served, "the server starts first: what starts it needs a thread without a running loop"
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright_driver: Playwright) -> Iterator[Browser]:
    """One browser for the tests of a module."""
    browser = launch(playwright_driver)
    yield browser
    browser.close()


def launch(driver: Playwright) -> Browser:
    """Start Debian's chromium without a window."""
    assert CHROMIUM is not None
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return driver.chromium.launch(executable_path=CHROMIUM, args=[*as_root, "--disable-gpu"])


@pytest.fixture(scope="module")
def database_file(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the module's server."""
    return Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("console") / "test.db"))


@pytest.fixture(scope="module")
def served(running_stub: OpenAIStub, database_file: Path) -> Iterator[str]:
    """One server for the tests of a module."""
    model: dict[str, Any] = {"llm_model": "scripted", "llm_proxy_url": running_stub.url, "llm_max_retries": 0}
    model["budget_tokens_per_turn"] = BUDGET
    with running_server(db_url=f"sqlite:///{database_file}", **model) as url:
        yield url


@pytest.fixture
def client(served: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The API, as the IDE of a user of this test's own."""
    with api_client(served, **{"X-End-User": user_of(request)}) as client:
        yield client


@pytest.fixture
def page(browser: Browser, served: str, stub: OpenAIStub, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab that is logged in as this test's user."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    log_in(page, served, user_of(request))
    yield page
    context.close()


def user_of(request: pytest.FixtureRequest) -> str:
    """The end user of a test: none sees the sessions of another."""
    return "u-" + "".join(letter for letter in request.node.name if letter.isalnum())[:60]


def log_in(page: Page, url: str, user: str, key: str = KEY) -> None:
    """Type the key and the user."""
    page.goto(f"{url}/console")
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_label("User").fill(user)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out", exact=True).wait_for()
