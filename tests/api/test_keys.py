"""Keys in files: rotated while the server runs, for clients and for the model server; and the Host check."""

from __future__ import annotations

import io
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import logs
from api.keys import CHECK_EVERY_S, Keys
from errors import ConfigurationError
from settings import Settings
from tests.openai_stub import OpenAIStub
from tests.running import running_server

DEADLINE_S = 20


def replace_file(path: Path, text: str) -> None:
    """As orchestrators do: the new file takes the name of the old one at once."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def wait_for(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)


def status(url: str, key: str) -> int:
    return httpx.get(f"{url}/sessions", headers={"X-Internal-Auth": key}, trust_env=False).status_code


def test_keys_are_rotated_while_the_server_runs(tmp_path: Path, stub: OpenAIStub) -> None:
    accepted, outgoing = tmp_path / "keys", tmp_path / "model-key"
    accepted.write_text("web=key-one\n")
    outgoing.write_text("model-one\n")
    settings = {
        "db_url": f"sqlite:///{tmp_path}/x.db",
        "internal_api_key": None,
        "internal_api_key_file": accepted,
        "llm_api_key_file": outgoing,
        "llm_model": "scripted",
        "llm_proxy_url": stub.url,
    }
    with running_server(**settings) as url:

        def ask(key: str) -> str:
            stub.script([{"text": "ok"}])
            body = {"session_id": "s", "message": {"type": "user_message", "content": "hi", "agent_type": "ask"}}
            headers = {"X-Internal-Auth": key}
            answered = httpx.post(f"{url}/agent/message/stream", json=body, headers=headers, trust_env=False)
            assert answered.status_code == 200
            sent: str = stub.requests[-1]["headers"]["authorization"]
            return sent

        assert ask("key-one") == "Bearer model-one"
        replace_file(accepted, "web=key-one,web=key-two\n")
        replace_file(outgoing, "model-two\n")
        wait_for(lambda: status(url, "key-two") == 200)
        assert status(url, "key-one") == 200
        wait_for(lambda: ask("key-two") == "Bearer model-two")
        replace_file(accepted, "web=key-two\n")
        wait_for(lambda: status(url, "key-one") == 401)
        assert httpx.get(f"{url}/sessions/s", headers={"X-Internal-Auth": "key-two"}).status_code == 200
        for unusable in ("", "web=\n", "schlüssel\n"):
            replace_file(accepted, unusable)
            time.sleep(CHECK_EVERY_S)
            assert (status(url, "key-two"), status(url, "")) == (200, 401), unusable
        accepted.unlink()
        assert status(url, "key-two") == 200
        replace_file(accepted, "web=key-three\n")
        wait_for(lambda: status(url, "key-three") == 200)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_reads_the_files_at_once_and_masks_the_new_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("old-key")
    keys = Keys(Settings.load(internal_api_key_file=file))
    assert keys.accepted == {"old-key": ""}
    written = io.StringIO()
    handler = logs.configure("INFO", "text", handler=logging.StreamHandler(written))
    try:
        with keys.refreshed_by_signal():
            replace_file(file, "brand-new-key")
            assert keys.accepted == {"old-key": ""}, "nothing looks but the signal"
            os.kill(os.getpid(), signal.SIGHUP)
            assert keys.accepted == {"brand-new-key": ""}
        logging.getLogger("server").warning("somebody wrote brand-new-key here")
        assert "brand-new-key" not in written.getvalue()
        assert "somebody wrote *** here" in written.getvalue()
    finally:
        logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("content", ["", "\n", "change-me-internal-key", "a/b=c", "ключ"])
def test_a_key_file_of_an_open_address_must_hold_a_key(content: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="INTERNAL_API_KEY_FILE"):
        Keys(Settings.load(host="agents.example", internal_api_key_file=file))


def test_another_host_name_is_refused_where_names_are_listed(tmp_path: Path) -> None:
    settings = {
        "db_url": f"sqlite:///{tmp_path}/x.db",
        "internal_api_key": "k",
        "allowed_hosts": "Agents.example., [::1]",
    }

    def ask(url: str, path: str, host: str) -> httpx.Response:
        return httpx.get(f"{url}{path}", headers={"X-Internal-Auth": "k", "Host": host}, trust_env=False)

    with running_server(**settings) as url:
        for host in ("agents.example", "AGENTS.example:8001", "agents.example.", "[::1]:8001"):
            assert ask(url, "/sessions", host).status_code == 200, host
        for host in ("evil.example", "127.0.0.1", "agents.example.evil.example", "", "[::2]"):
            refused = ask(url, "/sessions", host)
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_request"), host
            assert ask(url, "/health", host).status_code == 200
            assert ask(url, "/ready", host).status_code == 200
