"""The classes of paths: which files steer tools, hold secrets, or belong to git, however their name is disguised."""

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
"""The directory of the runtime itself: no agent writes there."""


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
        (".npmrc", ".pypirc", ".netrc", ".git-credential*", ".docker/config.json"),
        "ask",
        "ask",
        "a file with credentials",
    ),
    Family(
        "secrets",
        (
            ".env",
            ".env.*",
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
        ),
        "ask",
        "ask",
        "a file with secrets",
    ),
)

ORDINARY = Family("ordinary", (), "allow", "allow", "an ordinary file")

_TEMPLATES = (".example", ".sample", ".template")
_STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}


def folded(component: str) -> str:
    """Reduce one component to what a file system may take it for: case, width, hidden signs, stream, trailing dots."""
    if component.isascii():
        plain = component.lower()
    else:
        visible = "".join(character for character in component if not is_ignorable(character))
        plain = unicodedata.normalize("NFKC", visible).casefold()
    plain = plain.split(":", 1)[0] if not plain.startswith(":") else plain
    stripped = plain.rstrip(". ")
    return ".git" if re.fullmatch(r"\.?git~\d+", stripped) else stripped


def family_of(components: Sequence[str], access: Literal["read", "write"]) -> Family:
    """Return the strictest family that a path belongs to."""
    return _family_of(tuple(components), access)


@lru_cache(maxsize=4096)
def _family_of(components: tuple[str, ...], access: Literal["read", "write"]) -> Family:
    names = [folded(component) for component in components]
    found = [family for family in FAMILIES if any(_matches(pattern, names) for pattern in family.patterns)]
    if not found:
        return ORDINARY
    return max(found, key=lambda family: _STRICTNESS[family.write if access == "write" else family.read])


def _matches(pattern: str, names: list[str]) -> bool:
    parts = pattern.split("/")
    for start in range(len(names) - len(parts) + 1):
        window = names[start : start + len(parts)]
        if all(component_matches(part, name) for part, name in zip(parts, window, strict=True)):
            is_template = pattern == ".env.*" and window[0].endswith(_TEMPLATES)
            if not is_template:
                return True
    return False


_SECRET_FAMILIES = tuple(family for family in FAMILIES if family.read != "allow")
_SUFFIXES = tuple(pattern[1:] for family in _SECRET_FAMILIES for pattern in family.patterns if pattern.startswith("*."))
_NAMES: tuple[str, ...] = (
    *(
        pattern.replace("*", "")
        for family in _SECRET_FAMILIES
        for pattern in family.patterns
        if not pattern.startswith("*.") and "/" not in pattern
    ),
    *(".env.local", ".env.production", ".env.development", ".env.test", ".git-credentials", "id_rsa.pub", ".docker"),
)


def wildcard_may_meet_secret(pattern: str) -> bool:
    """Say whether a component with wildcards may stand for a secret: by a known name, or by the end of its name."""
    loose = re.sub(r"\[[^\]]*\]?", "?", folded(pattern))
    return any(component_matches(loose, name) for name in _NAMES) or any(_ends_like(loose, s) for s in _SUFFIXES)


def _ends_like(pattern: str, suffix: str) -> bool:
    for place in range(1, len(suffix) + 1):
        if place > len(pattern):
            return False
        if pattern[-place] == "*":
            return True
        if pattern[-place] not in ("?", suffix[-place]):
            return False
    return True
