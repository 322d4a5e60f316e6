"""Many sessions, long sessions, small and large windows, assistive technology, and a server that is killed."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it ships no types
from playwright.sync_api import Browser, Page, expect

from storage.database import stamp
from tests.client.preloaded import Forked
from tests.console.conftest import log_in, needs_browser, user_of
from tests.console.pictures import fill
from tests.console.test_browser import open_session, write
from tests.ide import Ide
from tests.openai_stub import OpenAIStub
from tests.running import KEY, api_client
from wire.chunks import assistant_message, pack

pytestmark = needs_browser
SESSIONS, MESSAGES = 5000, 3000


def insert(file: Path, statement: str, rows: list[tuple[object, ...]]) -> None:
    with sqlite3.connect(file) as connection:
        connection.executemany(statement, rows)
    connection.close()


def test_5000_sessions_are_listed_and_few_are_in_the_page(
    page: Page, served: str, database_file: Path, request: pytest.FixtureRequest
) -> None:
    owner = f"/{user_of(request)}"
    rows: list[tuple[object, ...]] = [
        (f"many-{n:04}", owner, stamp(), f"2026-01-01T{n:05}", f"No {n}") for n in range(SESSIONS)
    ]
    columns = "id, owner, created_at, last_activity, title"
    insert(database_file, f"insert into sessions ({columns}) values (?,?,?,?,?)", rows)
    page.reload()
    found = page.get_by_role("region", name="Sessions", exact=True).locator("li")
    expect(found.first).to_have_attribute("aria-setsize", str(SESSIONS))
    assert found.count() < 60
    expect(page.get_by_role("link", name="No 4999")).to_be_visible()
    page.get_by_role("region", name="Sessions", exact=True).evaluate("one => one.scrollTo(0, one.scrollHeight)")
    expect(page.get_by_role("link", name="No 0", exact=True)).to_be_visible()
    assert found.count() < 60


def test_a_session_of_3000_messages_shows_its_newest_and_the_rest_when_asked(
    page: Page, served: str, client: httpx.Client, database_file: Path
) -> None:
    ide = Ide.opened(client)
    said = [pack(chunk) for n in range(MESSAGES) for chunk in assistant_message(f"Message {n}", streamed=True)]
    rows: list[tuple[object, ...]] = [(ide.session_id, n + 1, "r", stamp(), text) for n, text in enumerate(said)]
    insert(database_file, "insert into events (session_id, seq, request_id, at, chunk) values (?,?,?,?,?)", rows)
    insert(database_file, "update sessions set last_seq = ? where id = ?", [(MESSAGES, ide.session_id)])
    open_session(page, served, ide)
    expect(page.get_by_text("Message 2999")).to_be_visible()
    assert page.locator("[data-kind=assistant]").count() <= 120
    page.get_by_role("button", name="Show earlier").click()
    expect(page.locator("[data-kind=assistant]")).to_have_count(240)
    page.get_by_role("slider").fill("10")
    expect(page.locator("[data-kind=assistant]")).to_have_count(10)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1600, "dark")])
def test_every_view_fits_its_window_and_has_no_serious_finding_of_axe(
    page: Page, served: str, client: httpx.Client, stub: OpenAIStub, width: int, scheme: str
) -> None:
    ides = fill(client, stub)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # the two words that it takes
    places = {
        "": ".waiting >> nth=3",
        f"session/{ides['finished'].session_id}": "[data-kind=done] >> nth=2",
        f"session/{ides['write'].session_id}": ".waiting .added >> nth=0",
        f"session/{ides['plan'].session_id}": ".waiting .steps",
        "policy": "form",
        "metrics": ".bars >> nth=0",
    }
    for place, shown in places.items():
        page.goto(f"{served}/console#/{place}")
        page.locator(shown).wait_for()
        if place == "policy":
            page.get_by_role("button", name="Check").click()
            page.get_by_role("heading", name="Verdict").wait_for()
        if place.endswith(ides["finished"].session_id):
            for summary in page.locator("details > summary").all():
                summary.click()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{place} is {overflow} px wider than {width} px"
        found = Axe().run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], place


def test_the_keyboard_alone_reaches_what_waits(page: Page, client: httpx.Client, stub: OpenAIStub) -> None:
    stub.script([write(1), {"text": "ok"}])
    ide = Ide(client)
    ide.say("Change it", agent_type="coder")
    page.locator("[data-call=w1]").wait_for()
    page.locator("body").click(position={"x": 2, "y": 500})
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.dataset.call") == "w1":
            break
    page.keyboard.press("r")
    page.keyboard.type("No")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-call=w1]")).to_have_count(0)
    assert next(e for e in ide.audit() if e["event"] == "approval_decided")["details"]["decision"] == "reject"


@pytest.fixture
def killable(tmp_path: Path, stub: OpenAIStub) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server as a process of its own: its address, and what kills it and starts it again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    given = {"DB_URL": f"sqlite:///{tmp_path}/test.db", "INTERNAL_API_KEY": KEY, "LLM_MODEL": "scripted"}
    given |= {"LLM_PROXY_URL": stub.url, "PORT": str(port), "RATE_LIMIT_PER_MINUTE": "0"}
    environment = {**os.environ, **{f"AGENT_RUNTIME__{name}": value for name, value in given.items()}}
    running: list[Forked] = []

    def start() -> None:
        if running:
            running[-1].send_signal(signal.SIGKILL)
            running[-1].wait(30)
        with open(os.devnull, "r+") as nothing:
            running.append(Forked(["serve"], [nothing.fileno()] * 3, env=environment))
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{url}/health", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the server did not start in 60 s"
                time.sleep(0.05)

    start()
    yield url, start
    running[-1].kill()
    running[-1].wait(30)


def test_a_page_goes_on_after_the_server_was_killed_and_started_again(
    browser: Browser, killable: tuple[str, Callable[[], None]], stub: OpenAIStub
) -> None:
    url, restart = killable
    context = browser.new_context()
    tab = context.new_page()
    log_in(tab, url, "ann")
    with api_client(url, **{"X-End-User": "ann"}) as client:
        stub.script([write(1), {"text": "Rejected, then."}])
        ide = Ide(client)
        ide.say("Change it", agent_type="coder")
        open_session(tab, url, ide)
        expect(tab.locator("[data-call=w1]")).to_be_visible()
        restart()
        expect(tab.locator(".dot.live")).to_be_visible(timeout=20_000)
        tab.locator("[data-call=w1]").get_by_role("button", name="Reject").click()
        tab.locator("[data-call=w1]").get_by_role("button", name="Reject").click()
        expect(tab.locator("[data-kind=assistant]").last).to_contain_text("Rejected, then.", timeout=20_000)
        expect(tab.locator("[data-kind=user]")).to_have_count(1)
        expect(tab.locator("[data-kind=call]")).to_have_count(1)
    context.close()
