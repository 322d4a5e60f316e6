"""The canonical form of paths, and their classes in every disguise."""

from __future__ import annotations

import pytest

from policy.paths.canonical import canonicalise
from policy.paths.classes import FAMILIES, family_of, wildcard_may_meet_secret
from policy.verdicts.unproven import Unproven

DENIED = [
    ("", "path.empty"),
    ("   ", "path.empty"),
    ("a" * 1025, "path.length"),
    ("a" * 256, "path.length"),
    ("a\tb", "path.character"),
    ("a\x85b", "path.character"),
    ("a\ufffdb", "path.character"),
    ("a\u200db", "path.character"),
    ("a\u2066b", "path.character"),
    ("a\ufeff.md", "path.character"),
    ("a\u2028b", "path.character"),
    ("a\u00a0b", "path.character"),
    ("a\u3000b", "path.character"),
    ("a\u3164b", "path.character"),
    ("a\udc80b", "path.character"),
    ("docs\uff0fa.md", "path.character"),
    ("docs\u2044a.md", "path.character"),
    ("a\u2024md", "path.character"),
    ("a\uff0emd", "path.character"),
    ("a\uff1ab", "path.character"),
    ("plan.\uff4d\uff44", "path.character"),
    ("a\u2026b", "path.character"),
    ("a:b", "path.stream"),
    ("C:a", "path.stream"),
    ("C:/a", "path.stream"),
    ("https://x/y", "path.stream"),
    ("a*b", "path.name"),
    ("a?b", "path.name"),
    ('a"b', "path.name"),
    ("a<b", "path.name"),
    ("a|b", "path.name"),
    ("/a", "path.absolute"),
    ("\\a", "path.absolute"),
    ("\\\\server\\share\\a", "path.absolute"),
    ("//server/a", "path.absolute"),
    ("~/a", "path.absolute"),
    ("~root/a", "path.absolute"),
    ("$HOME/a", "path.absolute"),
    ("%TEMP%/a", "path.absolute"),
    ("..", "path.outside"),
    ("../a", "path.outside"),
    ("a/../b", "path.outside"),
    ("a\\..\\b", "path.outside"),
    ("a/..", "path.outside"),
    ("a /b", "path.name"),
    ("a./b", "path.name"),
    ("a...", "path.name"),
    ("a/./b", "path.name"),
    ("CON", "path.name"),
    ("nul.txt", "path.name"),
    ("a/aux.tar.gz", "path.name"),
    ("LPT0", "path.name"),
    ("com\u00b9.txt", "path.name"),
    ("GIT~1/config", "path.name"),
    ("PROGRA~1", "path.name"),
    ("lib/", "path.directory"),
    ("lib\\", "path.directory"),
    (".", "path.directory"),
    ("./", "path.directory"),
    ("lib/.", "path.directory"),
]


@pytest.mark.parametrize(("path", "code"), DENIED)
def test_unclean_paths_are_denied_not_repaired(path: str, code: str) -> None:
    with pytest.raises(Unproven) as caught:
        canonicalise(path, "file")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("lib/main.dart", "lib/main.dart"),
        ("./lib/main.dart", "lib/main.dart"),
        ("lib//main.dart", "lib/main.dart"),
        ("lib\\src\\a.dart", "lib/src/a.dart"),
        ("docs/и\u0306.md", "docs/й.md"),
        ("docs/my plan (v2).md", "docs/my plan (v2).md"),
        ("a/[id]/page.tsx", "a/[id]/page.tsx"),
        ("a/@scope/b+c,d=e.x", "a/@scope/b+c,d=e.x"),
        ("日本語/ファイル.md", "日本語/ファイル.md"),
        ("..a/b", "..a/b"),
        ("a~/b", "a~/b"),
        ("console/auxiliary.dart", "console/auxiliary.dart"),
        ("❤\ufe0f.md", "❤\ufe0f.md"),
    ],
)
def test_clean_paths_keep_their_meaning(path: str, canonical: str) -> None:
    assert canonicalise(path, "file").text == canonical


def test_directories_may_end_in_a_separator() -> None:
    assert canonicalise("lib/", "directory").text == "lib"
    assert canonicalise(".", "directory").text == "."
    assert canonicalise("./", "directory").components == ()


@pytest.mark.parametrize(
    ("path", "root", "canonical"),
    [
        ("/home/me/app/lib/a.dart", "/home/me/app", "lib/a.dart"),
        ("/home/me/app/lib/a.dart", "/home/me/app/", "lib/a.dart"),
        ("C:\\work\\app\\lib\\a.dart", "C:\\work\\app", "lib/a.dart"),
        ("c:/Work/App/lib/a.dart", "C:\\work\\app", "lib/a.dart"),
    ],
)
def test_an_absolute_path_below_the_workspace_is_relativised(path: str, root: str, canonical: str) -> None:
    assert canonicalise(path, "file", root).text == canonical


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/home/me/app2/a", "/home/me/app"),
        ("/home/me/app/../x/a", "/home/me/app"),
        ("/home/me/app//etc/passwd", "/home/me/app"),
        ("/etc/passwd", "/"),
        ("/etc/passwd", ""),
        ("/etc/passwd", ".."),
        ("C:/x/a", "C:\\"),
        ("/HOME/me/app/a", "/home/me/app"),
        ("/home/me/app/a\u200b", "/home/me/app"),
    ],
)
def test_a_path_outside_the_workspace_is_denied_whatever_the_root(path: str, root: str) -> None:
    with pytest.raises(Unproven):
        canonicalise(path, "file", root)


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.md", ".md"), ("a.MD", ".md"), (".md", ""), ("a", ""), ("a.md.txt", ".txt"), ("..md", ""), ("a.b.md", ".md")],
)
def test_the_last_extension_counts(name: str, extension: str) -> None:
    assert canonicalise(f"docs/{name}", "file").extension == extension


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (".git", "repository"),
        ("sub/.git/hooks/x", "repository"),
        (".GIT/config", "repository"),
        (".github/workflows", "ci"),
        ("a/.github/workflows/x.yml", "ci"),
        (".gitlab-ci.yaml", "ci"),
        ("Jenkinsfile", "ci"),
        ("azure-pipelines.yml", "ci"),
        (".circleci/config.yml", "ci"),
        (".vscode/tasks.json", "editor"),
        ("x.code-workspace", "editor"),
        (".devcontainer/devcontainer.json", "editor"),
        ("agents.MD", "agent_policy"),
        ("docs/CLAUDE.md", "agent_policy"),
        (".clinerules-code", "agent_policy"),
        (".clinerules/a.md", "agent_policy"),
        (".cursor/rules/x.mdc", "agent_policy"),
        (".github/copilot-instructions.md", "agent_policy"),
        (".mcp.json", "agent_policy"),
        (".agent-runtime/rules.toml", "runtime_config"),
        (".husky/pre-commit", "hooks"),
        (".pre-commit-config.yaml", "hooks"),
        (".npmrc", "package_credentials"),
        (".git-credentials", "package_credentials"),
        (".docker/config.json", "package_credentials"),
        (".env", "secrets"),
        (".env.local", "secrets"),
        ("a/.Env.Production", "secrets"),
        ("id_ed25519.pub", "secrets"),
        ("certs/a.PEM", "secrets"),
        ("android/key.properties", "secrets"),
        ("upload.keystore", "secrets"),
        (".ssh/config", "secrets"),
        (".env.example", "ordinary"),
        (".env.local.template", "ordinary"),
        (".gitignore", "ordinary"),
        (".github/dependabot.yml", "ordinary"),
        ("lib/environment.dart", "ordinary"),
        ("docker/config.json", "ordinary"),
        ("keys/a.key.dart", "ordinary"),
    ],
)
def test_paths_have_their_class(path: str, name: str) -> None:
    assert canonicalise(path, "file").family("write").name == name


@pytest.mark.parametrize(
    "component",
    [
        ".git",
        ".GIT",
        ".Git ",
        ".git.",
        ".git. .",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u200bit",
        ".\uff27it",
        ".g\u034fit",
    ],
)
def test_git_is_known_in_every_disguise(component: str) -> None:
    assert family_of([component, "config"], "write").name == "repository"


def test_nobody_writes_to_git_or_to_the_own_configuration() -> None:
    denied = {family.name for family in FAMILIES if family.write == "deny"}
    assert denied == {"repository", "runtime_config"}


@pytest.mark.parametrize("pattern", [".e*", ".en?", "*", "*.pem", "*.p?m", "id_*", ".[e]nv", "server.*", ".s*", "*.k*"])
def test_a_wildcard_that_may_stand_for_a_secret_is_known(pattern: str) -> None:
    assert wildcard_may_meet_secret(pattern)


@pytest.mark.parametrize("pattern", ["*.dart", "a*.md", "*_test.dart", ".eslintrc.?s", "[ab].txt", "README.*d"])
def test_an_ordinary_wildcard_is_no_secret(pattern: str) -> None:
    assert not wildcard_may_meet_secret(pattern)
