"""The log: every line has its ids, one line each, and no secret gets in, whatever carries it."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import logs
from errors import NotReady
from tests.client.preloaded import Forked
from tests.ide import post
from tests.openai_stub import OpenAIStub
from tests.test_arrow import own_names

ROOT = Path(__file__).parent.parent
SECRET = "canary-5f3a91"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """A configured root logger that writes here, and the one before it afterwards."""
    root = logging.getLogger()
    before = root.level
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    yield out
    for known in list(root.handlers):
        if getattr(known, "stream", None) is out:
            root.removeHandler(known)
    root.setLevel(before)
    handler.close()


def log_to(out: io.StringIO, form: logs.LogFormat, *secrets: str) -> logging.Logger:
    logs.configure("INFO", form, secrets, logging.StreamHandler(out))
    return logging.getLogger("runs.test")


def test_a_line_carries_what_is_bound_and_what_is_given(written: io.StringIO) -> None:
    log = log_to(written, "json")
    with logs.bound(request="r1", session="s1"), logs.bound(run="run1"):
        log.warning("run lost", extra={"action": "run_lost", "call": "c1"})
    line = json.loads(written.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "WARNING",
        "logger": "runs.test",
        "message": "run lost",
        "action": "run_lost",
        "request": "r1",
        "session": "s1",
        "run": "run1",
        "call": "c1",
    }


def test_text_stays_on_one_line(written: io.StringIO) -> None:
    log = log_to(written, "text")
    log.warning("odd\n2026 ERROR forged", extra={"path": "/a b\r\nERROR"})
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(r'WARNING runs.test: odd\n2026 ERROR forged path="/a b\r\nERROR"')


@pytest.mark.parametrize(
    "text",
    [
        f"X-Internal-Auth: {SECRET}",
        f"Authorization: Bearer {SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"postgresql://user:{SECRET}@localhost/db",
        f"password='{SECRET}'",
        f"token: {SECRET}",
        f"the configured one: key-{SECRET}!",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_credentials_are_masked(written: io.StringIO, form: logs.LogFormat, text: str) -> None:
    log = log_to(written, form, f"key-{SECRET}!")
    log.error(text, extra={"detail": text, "x_internal_auth": SECRET})
    log.error("failed: %s", text)
    assert SECRET not in written.getvalue()
    assert written.getvalue().count(logs.MASK) >= 4


@pytest.mark.parametrize(
    "text",
    [
        r'body {"a": "{\"password\": \"%s\"}"}',
        r"{\\\"api_key\\\":\\\"%s\\\"}",
        'password: "my %s phrase"',
        r'"token": "a \" quoted %s"',
        "{'passwd': 'my %s'}",
        "(b'x-internal-auth', b'%s')",
        '["x-internal-auth", "%s"]',
        "GET https://h/x?key=%s&b=1",
        "https://h/?sig=%s&X-Amz-Signature=%s",
        "password%%3D%s",
        "https://%s@github.com/x.git",
        "postgresql://u:p@%s@host/db",
        "postgresql://u:p/%s@host/db",
        "redis://:%s@host:6379",
        "http://a://u:%s@host",
        "Authorization: Token %s",
        "Authorization: %s",
        'Authorization: Digest username="x", response="%s"',
        "Authorization: AWS4-HMAC-SHA256 Credential=x/2020, Signature=%s",
        "bearer %s",
        "Cookie: a=b; sid=%s; c=d",
        "pwd=%s",
        "passphrase = %s",
        "private_key: %s",
        "Incorrect API key provided: %s",
        "clientSecret=%s, accessToken:%s",
        "--password %s",
        "token => %s",
        "-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_credentials_are_masked_wherever_they_stand(written: io.StringIO, text: str) -> None:
    log_to(written, "text").error("%s", text.replace("%s", SECRET).replace("%%", "%"))
    assert SECRET not in written.getvalue()
    assert logs.MASK in written.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "GET /sessions/s1 answered 200",
        "http://127.0.0.1:8001/@scope/package",
        "the token bucket is empty",
        "Basic authentication is needed",
        "a key: value",
    ],
)
def test_other_words_stay(written: io.StringIO, text: str) -> None:
    log_to(written, "text").error("%s", text)
    assert text in written.getvalue()


def test_a_configured_secret_is_masked_also_where_it_is_escaped(written: io.StringIO) -> None:
    log = log_to(written, "text", 'pa"ss/wörd')
    log.error("%s %s %s", "pa%22ss%2Fw%C3%B6rd", json.dumps('pa"ss/wörd'), 'pa"ss/wörd')
    assert written.getvalue().count(logs.MASK) == 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["a", "a-", "password", "://u:", "eyJ-", "token=", "Basic ", '\\"', "--x-", "sk-"])
def test_a_long_text_of_another_server_costs_linear_time(written: io.StringIO, piece: str) -> None:
    log_to(written, "text").error("%s", (piece * 64_000)[:64_000])
    assert written.getvalue()


@pytest.mark.parametrize(
    "known",
    [
        "sk-proj-abcdefgh1234",
        "ghp_abcdefghijklmnop1234",
        "github_pat_11AAAA_abcdefgh",
        "glpat-abcdefgh1234",
        "AKIAABCDEFGHIJKLMNOP",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz",
        "xoxb-123456-abcdefgh",
        "sk_live_abcdefgh1234",
        "hf_abcdefghijklmnopqrst",
        "whsec_abcdefgh1234",
        "Basic dXNlcjpwYXNzd29yZDE=",
    ],
)
def test_known_forms_of_keys_are_masked(written: io.StringIO, known: str) -> None:
    log_to(written, "text").error("refused %s", known)
    assert known not in written.getvalue()


def test_exceptions_are_told_without_what_they_quote(written: io.StringIO) -> None:
    log = log_to(written, "json")

    def store() -> None:
        try:
            int(f"cannot store {SECRET}")
        except ValueError as cause:
            raise NotReady from cause

    try:
        store()
    except NotReady:
        log.exception("not ready")
    told = json.loads(written.getvalue())["exception"]
    assert SECRET not in told
    assert told.startswith("NotReady: The database is not reachable at the moment; try again soon. at test_logs.py:")
    assert "; caused by ValueError at test_logs.py:" in told


def test_other_libraries_speak_from_warning_on(written: io.StringIO) -> None:
    log_to(written, "text")
    logging.getLogger("httpx").info("POST with a body")
    logging.getLogger("runs.test").info("ours")
    assert "POST" not in written.getvalue()
    assert "ours" in written.getvalue()


def test_every_logger_of_ours_obeys_the_level() -> None:
    names = set()
    for path in ROOT.glob("*/**/*.py"):
        if path.relative_to(ROOT).parts[0] in {"tests", "benchmarks", ".venv", "build", "docs", "playground"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "getLogger" and node.args:
                given = node.args[0]
                name = given.value if isinstance(given, ast.Constant) else path.relative_to(ROOT).parts[0]
                names.add(str(name).split(".")[0])
    assert (names & own_names()) - set(logs.OURS) == set()
    assert {"runs", "api", "llm"} <= names


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_server_logs_its_start_its_requests_and_its_failures(tmp_path: Path, stub: OpenAIStub, form: str) -> None:
    """`serve`, as an operator starts it: the error id that a user reads stands in the log, and no message does."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_RUNTIME__")}
    environment |= {
        "AGENT_RUNTIME__DB_URL": f"sqlite:///{tmp_path}/log.db",
        "AGENT_RUNTIME__INTERNAL_API_KEY": f"gateway=key-{SECRET}",
        "AGENT_RUNTIME__LLM_MODEL": "scripted",
        "AGENT_RUNTIME__LLM_PROXY_URL": stub.url,
        "AGENT_RUNTIME__LLM_API_KEY": f"sk-{SECRET}",
        "AGENT_RUNTIME__LOG_FORMAT": form,
        "AGENT_RUNTIME__LOG_LEVEL": "info",
    }
    file = tmp_path / "err.log"
    port = free_port()
    with file.open("w") as err, open(os.devnull, "r+") as nothing:
        streams = [nothing.fileno(), nothing.fileno(), err.fileno()]
        process = Forked(["serve", "--port", str(port)], streams, env=environment)
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"X-Internal-Auth": f"key-{SECRET}", "X-Request-ID": "req-1"},
                transport=httpx.HTTPTransport(retries=0),
                trust_env=False,
                timeout=30,
            ) as client:
                wait_until_healthy(client, process)
                stub.script([{"text": f"Hello {SECRET}"}])
                body = {"session_id": "s1", "message": {"type": "user_message", "content": f"My word is {SECRET}"}}
                response, _ = post(client, body)
                assert response.headers["x-request-id"] == "req-1"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) in (0, -signal.SIGTERM)  # uvicorn raises the signal again at its end
    text = file.read_text()
    assert SECRET not in text
    lines = text.splitlines()
    start = next(line for line in lines if "server started" in line)
    request = next(line for line in lines if "/agent/message/stream" in line)
    if form == "json":
        told = json.loads(start)
        assert (told["model"], told["agents"]) == ("scripted", "orchestrator,coder,architect,debug,ask")
        told = json.loads(request)
        assert (told["request"], told["session"], told["status"]) == ("req-1", "s1", 200)
    else:
        assert " INFO server: server started action=server_started " in start
        assert "request=req-1 session=s1" in request
        assert "status=200" in request


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


def wait_until_healthy(client: httpx.Client, process: Forked) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the server ended while it started"
        assert time.monotonic() < deadline, "the server did not answer in 60 s"
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
