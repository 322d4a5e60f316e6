"""Commands get what programs need, and neither keys nor programs of the workspace."""

import os
from pathlib import Path

import pytest

from client.workspace.folder import Workspace
from client.workspace.variables import is_secret
from tests.client.workspace.tool_calls import execute

SECRETS = {
    "OPENAI_API_KEY": "x",
    "OPENAI_BASE_URL": "https://proxy.example",
    "ANTHROPIC_AUTH_TOKEN": "x",
    "AWS_SESSION_TOKEN": "x",
    "AWS_PROFILE": "work",
    "GITHUB_TOKEN": "x",
    "GH_ENTERPRISE_TOKEN": "x",
    "NPM_TOKEN": "x",
    "npm_config__authToken": "x",
    "MY_SERVICE_SECRET": "x",
    "SECRET_KEY_BASE": "x",
    "DB_PASSWORD": "x",
    "db_password_2": "x",
    "PGPASSWORD": "x",
    "MYSQL_PWD": "x",
    "DATABASE_URL": "postgres://app:hunter2@db/app",
    "HIDDEN_IN_VALUE": "token is ghp_0123456789abcdefghijABCDEFGHIJ",
    "CERT": "-----BEGIN PRIVATE KEY-----",
    "SENTRY_DSN": "https://x@example/1",
    "STRIPE_PAT": "x",
    "AGENT_RUNTIME__INTERNAL_API_KEY": "x",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
    "AZURE_CLIENT_ID": "x",
}
ORDINARY = {
    "HOME": "/home/me",
    "PWD": "/home/me",
    "LANG": "de_DE.UTF-8",
    "JAVA_HOME": "/usr/lib/jvm",
    "KEYBOARD": "de",
    "XDG_SESSION_TYPE": "tty",
    "MONKEY": "banana",
    "PYTHONPATH": "src",
    "TOKENIZERS_PARALLELISM": "false",
    "HTTP_PROXY": "http://proxy.example:3128",
    "AUTHOR": "me",
    "COMPASS": "north",
}


@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_key_is_recognised(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(("name", "value"), ORDINARY.items())
def test_ordinary_variable_is_kept(name: str, value: str) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize("is_asked", [True, False])
def test_command_sees_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_asked: bool) -> None:
    for name, value in (SECRETS | {"KEPT": "yes"}).items():
        monkeypatch.setenv(name, value)
    printed = execute(Workspace(tmp_path), "execute_command", {"command": "env"}, is_asked=is_asked).result["stdout"]
    seen = {line.partition("=")[0] for line in printed.splitlines()}
    assert seen & SECRETS.keys() == set()
    assert {"KEPT", "PATH", "HOME"} <= seen


def test_sockets_of_agents_are_for_approved_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    command = {"command": "env"}
    assert "SSH_AUTH_SOCK" in execute(Workspace(tmp_path), "execute_command", command, is_asked=True).result["stdout"]
    assert "SSH_AUTH_SOCK" not in execute(Workspace(tmp_path), "execute_command", command).result["stdout"]


@pytest.mark.parametrize("entry", ["bin", ".", "", "{root}/bin", "{root}/alias"])
def test_program_of_the_workspace_is_not_started_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "alias").symlink_to("bin")
    for name in ("bin/ls", "ls", "bin/bash", "bash"):
        (tmp_path / name).write_text("#!/bin/sh\necho theirs\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", entry.format(root=tmp_path) + os.pathsep + os.environ["PATH"])
    workspace = Workspace(tmp_path)
    for command in ("ls", "ls; ls"):
        assert "theirs" not in execute(workspace, "execute_command", {"command": command}).result["stdout"]
    asked = execute(workspace, "execute_command", {"command": "ls"}, is_asked=True).result["stdout"]
    assert "theirs" in asked
