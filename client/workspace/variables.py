"""The environment of commands: what programs need to work, without keys, tokens and passwords."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_SECRET_NAME = re.compile(
    r"""
    ^AGENT_RUNTIME__ | ^(?:OPENAI|ANTHROPIC|AWS|AZURE|GCP|GOOGLE|GEMINI|MISTRAL|COHERE|HF|HUGGINGFACE|VAULT|TF_VAR)_
    | ^(?:GH|GITHUB|GITLAB|NPM|PYPI|UV_PUBLISH|TWINE|CARGO_REGISTRY|DOCKER|SENTRY|STRIPE|SLACK)_.*(?:AUTH|USER|INDEX)
    | (?:^|_)(?:API_?KEYS?|KEYS?|TOKENS?|SECRETS?|PASS|PASSWD|PASSWORDS?|PASSPHRASE|PWD|PAT|CREDENTIALS?|CREDS?|AUTH
      |COOKIES?|DSN|WEBHOOK|BEARER|JWT|OAUTH|CONNECTION_?STRING)(?:_|$|[0-9])
    | APIKEY | ACCESSKEY | AUTHTOKEN | AUTH_CONFIG | (?:TOKEN|SECRET|PASSWORD|CREDENTIALS)S?$
    | ^(?:PGPASSWORD|PGPASSFILE|MYSQL_PWD|SSHPASS|REDISCLI_AUTH|RESTIC_PASSWORD|BORG_PASSPHRASE|KUBECONFIG)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})
_SECRET_VALUE = re.compile(
    r"-----BEGIN|[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@"
    r"|\b(?:sk-[\w-]{16,}|gh[a-z]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}"
    r"|npm_\w{20,}|pypi-\w{20,}|hf_\w{20,}|AIza[\w-]{30,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.)"
)
_AGENTS = ("SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST")
"""Sockets that act in the person's name: for approved commands only."""

_QUIET = {"PAGER": "cat", "GIT_PAGER": "cat", "TERM": "dumb", "GIT_TERMINAL_PROMPT": "0"}


def command_environment(root: Path, *, is_asked: bool, hints: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a command; without approval it finds no program inside the workspace."""
    kept = {name: value for name, value in os.environ.items() if not is_secret(name, value)}
    if not is_asked:
        for name in _AGENTS:
            kept.pop(name, None)
        kept["PATH"] = path_outside(root)
    return kept | _QUIET | dict(hints or {})


def is_secret(name: str, value: str) -> bool:
    """Whether a variable looks like a key, token or password, by its name or by its value."""
    return name not in _NOT_SECRET and bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))


def path_outside(root: Path) -> str:
    """Return PATH without relative folders and without those of the workspace, where anybody may put an `ls`."""
    kept = []
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if not os.path.isabs(folder):
            continue
        resolved = Path(os.path.realpath(folder))
        if resolved != root and root not in resolved.parents:
            kept.append(folder)
    return os.pathsep.join(kept)
