"""Settings that cannot be meant stop the start with one sentence; blank ones count as unset; unknown ones are told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from errors import ConfigurationError
from settings import PREFIX, Settings, unknown_names

NONSENSE = [
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "-1",
    "1e999",
    "x",
    "{",
    "[]",
    "\t\x01",
    "ключ",
    "9" * 5000,
    "http://[",
    "1" + "0" * 30,
]
FREE_TEXT = {
    "gateway_url",
    "max_concurrent_requests",
    "request_timeout",
    "version",
    "allowed_hosts",
    "llm_model",
    "llm_fallback_model",
}
"""Taken as they are: no value of these is wrong."""
LATER = {"db_url", "db_listen_url", "policy_file", "llm_prices_file", "internal_api_key_file", "llm_api_key_file"}
"""Checked where they are opened, still at the start."""


STARTS = """
import json, os, sys
import cli

for given in json.loads(sys.argv[1]):
    for name in [name for name in os.environ if name.startswith("AGENT_RUNTIME__")]:
        del os.environ[name]
    os.environ.update(given)
    sys.argv = ["agent-runtime", "serve"]
    try:
        cli.main()
    except SystemExit as end:
        print("\\nEND", end.code, file=sys.stderr, flush=True)
"""


def starts(tmp_path: Path, *cases: dict[str, str]) -> list[tuple[str, str]]:
    """Start the command with each of these settings, one after the other: exit status, and what it said."""
    fixed = {"port": "0", "db_url": f"sqlite:///{tmp_path}/x.db"}
    given = [{f"{PREFIX}{name.upper()}": value for name, value in {**fixed, **case}.items()} for case in cases]
    done = subprocess.run(
        [sys.executable, "-c", STARTS, json.dumps(given)], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    told = re.split(r"\nEND (\d+)\n", done.stderr)
    assert "p4ssw0rd" not in done.stderr + done.stdout
    return list(zip(told[1::2], told[::2], strict=False))


EVERYWHERE = "0.0.0.0"
REFUSED = [
    ({"llm_proxy_url": "notaurl"}, "LLM_PROXY_URL"),
    ({"llm_timeout_seconds": "inf"}, "LLM_TIMEOUT_SECONDS"),
    ({"llm_headers": "{"}, "LLM_HEADERS"),
    ({"llm_headers": '{"Content-Length": "5"}'}, "LLM_HEADERS"),
    ({"llm_headers": '{"transfer-encoding": "chunked"}'}, "LLM_HEADERS"),
    ({"llm_headers": '{"X-A": "1", "x-a": "2"}'}, "LLM_HEADERS"),
    ({"llm_extra_body": '{"a": NaN}'}, "LLM_EXTRA_BODY"),
    ({"allowed_hosts": "http://a.example"}, "ALLOWED_HOSTS"),
    ({"allowed_hosts": "a.example:8001"}, "ALLOWED_HOSTS"),
    ({"allowed_hosts": "*"}, "ALLOWED_HOSTS"),
    ({"allowed_hosts": "a.example b.example"}, "ALLOWED_HOSTS"),
    ({"host": EVERYWHERE}, "INTERNAL_API_KEY is not set"),
    ({"host": EVERYWHERE, "internal_api_key": "change-me-internal-key"}, "published default"),
    ({"host": "a..b", "internal_api_key": "k-123"}, "HOST"),
    ({"host": "nothing.invalid", "internal_api_key": "k-123"}, "nothing.invalid"),
    ({"db_url": "mysql://u:p4ssw0rd@h/d"}, "DB_URL"),
    ({"db_url": "postgresql://u:p4ssw0rd@127.0.0.1:notaport/d"}, "DB_URL"),
    ({"db_url": "postgresql://u:p4ssw0rd@127.0.0.1/d?no_such_option=1"}, "DB_URL"),
    ({"db_url": "postgresql://u:p4ssw0rd@[::1/d"}, "DB_URL"),
    ({"policy_file": "/nothing/here.toml"}, "/nothing/here.toml"),
    ({"policy_file": "/"}, "POLICY_FILE"),
    ({"internal_api_key_file": "/nothing/keys"}, "INTERNAL_API_KEY_FILE"),
    ({"llm_api_key_file": "/"}, "LLM_API_KEY_FILE"),
    ({"internal_api_key": "k-123", "internal_api_key_file": "/etc/hostname"}, "both set"),
]


def test_what_cannot_be_meant_is_one_sentence_at_the_start(tmp_path: Path) -> None:
    ends = starts(tmp_path, *(given for given, _ in REFUSED))
    assert len(ends) == len(REFUSED)
    for (given, said), (status, told) in zip(REFUSED, ends, strict=True):
        assert (status, told.strip().count("\n")) == ("2", 0), (given, told)
        assert said in told, given


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - FREE_TEXT - LATER))
def test_every_setting_refuses_nonsense_or_reads_it_as_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for value in NONSENSE:
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
        try:
            Settings.load()
        except ConfigurationError as error:
            told.append(error.message)
    assert told, "a setting that takes everything belongs to FREE_TEXT"
    assert [sentence for sentence in told if f"{PREFIX}{name.upper()}" not in sentence or "\n" in sentence] == []


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_blank_value_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset = getattr(Settings.load(), name)
    for blank in ("", "  "):
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", blank)
        assert getattr(Settings.load(), name) == unset
    monkeypatch.delenv(f"{PREFIX}{name.upper()}")
    (tmp_path / "settings.env").write_text(f"{PREFIX}{name.upper()}=\n")
    assert getattr(Settings.load(tmp_path / "settings.env"), name) == unset


def test_an_unknown_name_is_told_with_the_nearest_that_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LLM_PROXY_ULR", "http://localhost:1")
    monkeypatch.setenv("AGENT_RUNTIME_PORT", "1")
    monkeypatch.setenv("AGENT_RUNTIME__ENV_FILE", "x")
    monkeypatch.setenv("agent_runtime__log_level", "DEBUG")
    (tmp_path / "settings.env").write_text("AGENT_RUNTIME__QZX=1\nAGENT_RUNTIME__PORT=8001\n")
    assert unknown_names(tmp_path / "settings.env") == {
        "AGENT_RUNTIME_PORT": "AGENT_RUNTIME__PORT",
        "AGENT_RUNTIME__LLM_PROXY_ULR": "AGENT_RUNTIME__LLM_PROXY_URL",
        "AGENT_RUNTIME__QZX": None,
    }


def test_the_start_warns_about_unknown_names(tmp_path: Path) -> None:
    [(_, told)] = starts(tmp_path, {"llm_modell": "x", "policy_file": "/nothing/here.toml"})
    assert "did you mean AGENT_RUNTIME__LLM_MODEL?" in told
    assert "action=unknown_setting" in told


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("http://api.example.com", "k", ["unencrypted"]),
        ("https://api.example.com", None, ["X-Internal-Auth"]),
        ("http://8.8.8.8", None, ["unencrypted", "X-Internal-Auth"]),
        ("https://api.example.com", "k", []),
        ("http://litellm:4000", None, []),
        ("http://10.0.0.7:8002", None, []),
        ("http://proxy.default.svc", None, []),
    ],
)
def test_what_would_give_keys_away_is_told(url: str, key: str | None, said: list[str]) -> None:
    found = Settings.load(llm_model="m", llm_proxy_url=url, llm_api_key=key).cautions()
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))
    assert Settings.load(llm_proxy_url=url).cautions() == []
