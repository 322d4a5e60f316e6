"""The classes of paths: files that configure tools, hold secrets, or belong to git, in every spelling of their name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from policy.paths.globs import component_matches
from policy.verdicts.characters import is_ignorable
from policy.verdicts.verdict import Decision

PathClass = Literal[
    "repository",
    "runtime_config",
    "ci",
    "editor",
    "agent_policy",
    "hooks",
    "package_credentials",
    "secrets",
    "ordinary",
]

CONFIG_DIRECTORY = ".agent-runtime"
"""The directory of the runtime itself; no agent may write there."""


@dataclass(frozen=True)
class Family:
    """One class: its patterns (components in a row, anywhere in the path) and what a write and a read get."""

    name: PathClass
    patterns: tuple[str, ...]
    write: Decision
    read: Decision
    what: str
    """What the file is, to complete `This is ...`."""


FAMILIES: tuple[Family, ...] = (
    Family("repository", (".git",), "deny", "ask", "git's own data, from which git runs programs"),
    Family("runtime_config", (CONFIG_DIRECTORY,), "deny", "allow", "the configuration of the agent runtime"),
    Family(
        "ci",
        (".github/workflows", ".gitlab-ci.y*ml", ".circleci", "azure-pipelines.y*ml", "jenkinsfile"),
        "ask",
        "allow",
        "a CI definition, which runs with the secrets of the repository",
    ),
    Family(
        "editor",
        (".vscode", ".idea", "*.code-workspace", ".devcontainer"),
        "ask",
        "allow",
        "an editor setting, which can start programs",
    ),
    Family(
        "agent_policy",
        (
            "agents.md",
            "claude.md",
            "gemini.md",
            ".cursorrules",
            ".cursor",
            ".claude",
            ".roo",
            ".roomodes",
            ".clinerules*",
            ".mcp.json",
            ".github/copilot-instructions*",
        ),
        "ask",
        "allow",
        "an instruction to agents",
    ),
    Family(
        "hooks", (".husky", ".githooks", ".pre-commit-config.y*ml"), "ask", "allow", "a hook that git or a tool runs"
    ),
    Family(
        "package_credentials",
        (
            ".npmrc",
            ".yarnrc.yml",
            ".pypirc",
            ".netrc",
            "_netrc",
            ".git-credential*",
            ".htpasswd",
            ".docker/config.json",
            ".dockercfg",
            ".m2/settings.xml",
            ".gradle/gradle.properties",
            ".sentryclirc",
            ".terraformrc",
        ),
        "ask",
        "ask",
        "a file with credentials",
    ),
    Family(
        "secrets",
        (
            ".env",
            ".env.*",
            "*.env",
            ".envrc",
            "id_rsa*",
            "id_dsa*",
            "id_ecdsa*",
            "id_ed25519*",
            "*.pem",
            "*.key",
            "*.p8",
            "*.p12",
            "*.pfx",
            "*.jks",
            "*.keystore",
            "key.properties",
            ".ssh",
            ".aws",
            ".gnupg",
            ".kube",
            ".docker",
            ".azure",
            ".config/gcloud",
            ".config/gh",
            ".pgpass",
            ".my.cnf",
            "*.tfstate",
            "*.tfstate.*",
            "*.tfvars",
            ".vault-token",
            "credentials",
            "credentials.*",
            "*-credentials.json",
            "*_credentials.json",
            "secret.json",
            "secrets.json",
            "secret.y*ml",
            "secrets.y*ml",
            "secrets.toml",
            ".secrets",
            "client_secret*.json",
            "service-account*.json",
            "service_account*.json",
            "serviceaccount*.json",
            "*-adminsdk-*.json",
            "*.tfvars.json",
            "kubeconfig",
            "*.kubeconfig",
            "*.ppk",
            "*.kdbx",
            "secring.*",
            "ssh_host_*_key",
            ".password-store",
            ".vault_pass*",
            ".dev.vars",
            ".boto",
            ".s3cfg",
            ".mylogin.cnf",
            ".databrickscfg",
            ".snowsql",
            ".kaggle",
            ".huggingface",
            ".ngrok2",
            ".config/op",
            ".config/hub",
            ".config/rclone",
            ".bash_history",
            ".zsh_history",
            ".psql_history",
            ".mysql_history",
            ".python_history",
        ),
        "ask",
        "ask",
        "a file with secrets",
    ),
)

ORDINARY = Family("ordinary", (), "allow", "allow", "an ordinary file")

_TEMPLATES = (".example", ".sample", ".template")
_BACKUPS = ("~", ".bak", ".backup", ".old", ".orig", ".swp", ".swo", ".save", ".tmp")
_BACKUP = re.compile(rf"(?:{'|'.join(map(re.escape, _BACKUPS))}|\.~\d+~|\.\d{{8}}t\d{{6,12}}z)\d*")
"""The endings that editors, people and the terminal client's own backups put behind a name, numbered too."""
_STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}


def folded(component: str) -> str:
    """Reduce one component to the name that a file system may open: case, width, hidden signs, trailing dots."""
    if component.isascii():
        plain = component.lower()
    else:
        visible = "".join(character for character in component if not is_ignorable(character))
        plain = unicodedata.normalize("NFKC", visible).casefold()
    plain = plain.split(":", 1)[0] if not plain.startswith(":") else plain
    stripped = plain.rstrip(". ")
    return ".git" if re.fullmatch(r"\.?git~\d+", stripped) else stripped


def without_backup_endings(name: str) -> str:
    """Return the name of the original of a backup, a swap file or an editor's lock file."""
    name = name.strip("#").removeprefix(".#")
    while (ending := next(iter(_endings_of(name)), None)) is not None:
        name = name[: -len(ending)]
    return name


def _endings_of(name: str) -> list[str]:
    """The backup ending of a name, if it has one and something stands before it."""
    starts = [place for place in range(1, len(name)) if _BACKUP.fullmatch(name, place)]
    return [name[starts[0] :]] if starts else []


def family_of(components: Sequence[str], access: Literal["read", "write"]) -> Family:
    """Return the strictest family that a path belongs to."""
    return _family_of(tuple(components), access)


@lru_cache(maxsize=4096)
def _family_of(components: tuple[str, ...], access: Literal["read", "write"]) -> Family:
    names = [folded(component) for component in components]
    bare = [without_backup_endings(name) for name in names]
    # The swap file of `id_rsa` is `.id_rsa.swp`.
    undotted = [name if name == full else name.removeprefix(".") for name, full in zip(bare, names, strict=True)]
    found = [
        family
        for family in FAMILIES
        for readings in [(bare, undotted) if family.read != "allow" else (names,)]
        if any(_matches(pattern, reading) for pattern in family.patterns for reading in readings)
    ]
    if not found:
        return ORDINARY
    return max(found, key=lambda family: _STRICTNESS[family.write if access == "write" else family.read])


def _matches(pattern: str, names: list[str]) -> bool:
    parts = pattern.split("/")
    for start in range(len(names) - len(parts) + 1):
        window = names[start : start + len(parts)]
        if all(component_matches(part, name) for part, name in zip(parts, window, strict=True)):
            is_template = pattern in (".env.*", "credentials.*") and window[0].endswith(_TEMPLATES)
            if not is_template:
                return True
    return False


_SECRET_FAMILIES = tuple(family for family in FAMILIES if family.read != "allow")
_PATTERNS = tuple(part for family in _SECRET_FAMILIES for pattern in family.patterns for part in pattern.split("/"))
_SUFFIXES = tuple(p[1:] for p in _PATTERNS if p.startswith("*.") and not p.endswith("*"))
_KNOWN = (".env.local", ".env.production", ".env.development", ".env.test", ".git-credentials", "id_rsa.pub")
_KNOWN_DATA = ("credentials.json", "credentials.toml", "credentials.yml", "credentials.yaml", "credentials.db")
_NAMES: tuple[str, ...] = tuple(
    name + ending
    for name in (*(p.replace("*", "") for p in _PATTERNS if not p.startswith("*")), *_KNOWN, *_KNOWN_DATA)
    for ending in ("", *_BACKUPS)
)
MAX_ALTERNATIVES = 64


def alternatives(pattern: str) -> list[str] | None:
    """Expand the braces of a glob (`*.{pem,key}`), nested ones too; None for more than MAX_ALTERNATIVES."""
    waiting: list[str] = [pattern]
    done: list[str] = []
    while waiting:
        if len(waiting) + len(done) > MAX_ALTERNATIVES:
            return None
        text = waiting.pop()
        inner = re.search(r"\{([^{}]*)\}", text)
        if inner is None:
            done.append(text)
        else:
            waiting += [text[: inner.start()] + choice + text[inner.end() :] for choice in inner[1].split(",")]
    return done


@lru_cache(maxsize=4096)
def wildcard_may_meet_secret(pattern: str) -> bool:
    """Say whether a component with wildcards may stand for a secret or a backup of one: by a known name, or its end."""
    loose = re.sub(r"\[[^\]]*\]?", "?", folded(pattern))
    kept = [loose[: -len(ending)] for ending in _BACKUPS if _spells(loose[-len(ending) :], ending)]
    return any(
        any(component_matches(text, name) for name in _NAMES) or any(_ends_like(text, s) for s in _SUFFIXES)
        for text in [loose, *kept]
    )


def _spells(tail: str, ending: str) -> bool:
    """Whether the last characters of a pattern can be a backup's ending without a `*`, which would be any ending."""
    return len(tail) == len(ending) and all(t in ("?", e) for t, e in zip(tail, ending, strict=True))


def _ends_like(pattern: str, suffix: str) -> bool:
    for place in range(1, len(suffix) + 1):
        if place > len(pattern):
            return False
        if pattern[-place] == "*":
            return True
        if pattern[-place] not in ("?", suffix[-place]):
            return False
    return True
