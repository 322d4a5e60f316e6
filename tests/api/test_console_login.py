"""The console's login: a cookie that stands for a key, for our own pages only, and pages that load nothing else."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.pages.cookies import COOKIE
from tests.running import NO_CERTIFICATES, running_server

KEYS = "ann=ann-key,ann=ann-new-key,bob=bob-key"
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    file = tmp_path_factory.mktemp("console") / "test.db"
    with running_server(db_url=f"sqlite:///{file}", internal_api_key=KEYS) as url:
        yield url, file


@pytest.fixture
def browser(served: tuple[str, Path]) -> Iterator[httpx.Client]:
    """A client that keeps cookies, without a key."""
    with httpx.Client(base_url=served[0], trust_env=False, verify=NO_CERTIFICATES, headers=OURS) as client:
        yield client


def log_in(browser: httpx.Client, key: str = "ann-key", **more: str) -> httpx.Response:
    return browser.post("/console/login", json={"key": key, **more})


def test_a_login_sets_a_cookie_that_scripts_cannot_read_and_other_sites_cannot_send(browser: httpx.Client) -> None:
    answer = log_in(browser)
    assert answer.status_code == 200
    assert answer.json()["principal"] == "ann"
    attributes = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(attributes.split("; "))
    assert "ann-key" not in attributes
    assert browser.get("/sessions").status_code == 200
    assert browser.post("/sessions", json={}).status_code == 201


@pytest.mark.parametrize("key", ["", "wrong", "ann", "ANN-KEY"])
def test_a_wrong_key_logs_nobody_in(browser: httpx.Client, key: str) -> None:
    answer = log_in(browser, key)
    assert (answer.status_code, answer.text) == (401, '{"detail":"unauthorized"}')
    assert COOKIE not in browser.cookies
    assert browser.get("/console/state").status_code == 401


def test_a_login_sees_the_sessions_of_its_user_only(browser: httpx.Client, served: tuple[str, Path]) -> None:
    log_in(browser, "bob-key", end_user="eve")
    made = browser.post("/sessions", json={}).json()["id"]
    plain = {"X-Internal-Auth": "bob-key"}
    with httpx.Client(base_url=served[0], trust_env=False, verify=NO_CERTIFICATES, headers=plain) as gateway:
        assert gateway.get(f"/sessions/{made}").status_code == 404
        assert gateway.get(f"/sessions/{made}", headers={"X-End-User": "eve"}).status_code == 200
    with httpx.Client(base_url=served[0], trust_env=False, verify=NO_CERTIFICATES, headers=OURS) as other:
        log_in(other, "ann-key", end_user="eve")
        assert other.get(f"/sessions/{made}").status_code == 404
    assert log_in(browser, "bob-key", end_user="no blanks").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sessions"), ("DELETE", "/sessions/s1"), ("POST", "/console/logout"), ("POST", "/console/login")],
)
def test_a_write_from_another_site_is_refused(
    browser: httpx.Client, headers: dict[str, str], method: str, path: str
) -> None:
    log_in(browser)
    del browser.headers["Sec-Fetch-Site"]
    body = {"key": "ann-key"} if path.endswith("login") else {}
    answer = browser.request(method, path, headers=headers, json=body)
    assert (answer.status_code, answer.json()) == (403, {"detail": "This request came from another site."})


def test_an_old_browser_is_known_by_the_origin(browser: httpx.Client) -> None:
    log_in(browser)
    del browser.headers["Sec-Fetch-Site"]
    host = str(browser.base_url).rstrip("/")
    assert browser.post("/sessions", json={}, headers={"Origin": host}).status_code == 201


def test_a_key_in_the_header_needs_no_cookie_and_wins_over_one(browser: httpx.Client) -> None:
    log_in(browser)
    made = browser.post("/sessions", json={}).json()["id"]
    bob = {"X-Internal-Auth": "bob-key", "Sec-Fetch-Site": "cross-site"}
    assert browser.get(f"/sessions/{made}", headers=bob).status_code == 404
    assert browser.post("/sessions", json={}, headers=bob).status_code == 201, "a gateway is no browser"
    assert browser.get("/sessions", headers={"X-Internal-Auth": "wrong"}).status_code == 401


def test_logging_out_ends_this_login_or_all_of_the_user(browser: httpx.Client, served: tuple[str, Path]) -> None:
    others = [httpx.Client(base_url=served[0], trust_env=False, verify=NO_CERTIFICATES, headers=OURS) for _ in range(3)]
    for client, key in zip([browser, *others], ["ann-key", "ann-key", "ann-new-key", "bob-key"], strict=True):
        assert log_in(client, key).status_code == 200
    kept = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    assert browser.post("/console/logout", json={}).status_code == 200
    assert browser.get("/sessions", headers=kept).status_code == 401, "the cookie is worth nothing any more"
    assert [c.get("/sessions").status_code for c in others] == [200, 200, 200]
    assert others[0].post("/console/logout", json={"everywhere": True}).status_code == 200
    assert [c.get("/sessions").status_code for c in others] == [401, 401, 200]
    for client in others:
        client.close()


def test_a_login_runs_out_and_neither_key_nor_cookie_is_stored(browser: httpx.Client, served: tuple[str, Path]) -> None:
    log_in(browser)
    token = browser.cookies[COOKIE]
    with sqlite3.connect(served[1]) as connection:
        stored = str(connection.execute("select * from console_logins").fetchall())
        connection.execute("update console_logins set expires_at = '2020-01-01'")
    connection.close()
    assert token not in stored
    assert "ann-key" not in stored
    assert browser.get("/sessions").status_code == 401
    assert browser.get("/console/state").status_code == 401


def test_a_login_ends_with_its_key(tmp_path: Path) -> None:
    url_of = f"sqlite:///{tmp_path}/test.db"
    with running_server(db_url=url_of, internal_api_key="ann=old-key") as url:
        browser = httpx.Client(base_url=url, trust_env=False, verify=NO_CERTIFICATES, headers=OURS)
        log_in(browser, "old-key")
        kept = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        browser.close()
    with running_server(db_url=url_of, internal_api_key="ann=new-key") as url:
        again = httpx.get(f"{url}/sessions", headers=kept, trust_env=False)
    assert again.status_code == 401


def test_broken_cookies_are_no_login(browser: httpx.Client) -> None:
    for cookie in (f"{COOKIE}=", f"{COOKIE}=x", f'{COOKIE}="', "=;;=", "x" * 5000):
        assert browser.get("/sessions", headers={"Cookie": cookie}).status_code == 401, cookie


@pytest.mark.parametrize("path", ["/console", "/docs", "/redoc"])
def test_a_page_loads_nothing_from_another_host(browser: httpx.Client, path: str) -> None:
    page = browser.get(path)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    places = re.findall(r'(?:src|href|url)\s*[=:]\s*["\']([^"\']+)["\']', page.text)
    assert places
    assert [place for place in places if not place.startswith(("/", "data:")) or place.startswith("//")] == []
    for place in places:
        if not place.startswith("data:"):
            assert browser.get(place).status_code == 200, place


def test_the_console_may_run_its_own_files_and_no_text_as_markup(browser: httpx.Client) -> None:
    policy = browser.get("/console").headers["content-security-policy"]
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert browser.get("/console/").headers["location"] == "/console"
    for path in ("../page.py", "%2e%2e/%2e%2e/settings.py", "vendor/vendor.json", "nothing.js"):
        assert browser.get(f"/console/static/{path}").status_code in (401, 404), path


def test_a_file_that_the_browser_has_is_not_sent_again(browser: httpx.Client) -> None:
    first = browser.get("/console/static/app.js")
    assert first.headers["content-encoding"] == "gzip"
    assert browser.get("/console/static/app.js", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_the_graph_of_the_page_is_the_compiled_graph(browser: httpx.Client) -> None:
    graph = json.loads(browser.get("/console/graph").text)
    assert "specialist" in graph["nodes"]
    assert ["__start__", "router"] in graph["edges"]
    assert ["__start__", "specialist"] in graph["edges"]
