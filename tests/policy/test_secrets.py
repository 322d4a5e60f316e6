"""Files with secrets: one list of names, with the endings of backups, for files, operands, globs and searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from policy.paths.classes import family_of
from policy.shell.operands import picks_secrets
from tests.policy.roster import judge, run, write
from wire.protocol import ToolCall

NAMES = [
    ".env", ".env.local", ".envrc", "prod.env", "config/staging.env", ".kube/config", ".docker/config.json",
    ".docker/contexts/a.json", ".pgpass", ".my.cnf", "terraform.tfstate", "infra/terraform.tfstate.backup",
    "prod.tfvars", "credentials", "credentials.json", ".aws/credentials", "gcp-credentials.json",
    ".config/gcloud/access_tokens.db", ".config/gh/hosts.yml", ".azure/msal.json", "id_rsa", "id_ed25519.pub", "a.pem",
    "key.properties", ".ssh/known_hosts", ".gnupg/x", ".npmrc", ".netrc", ".vault-token",
]  # fmt: skip
ENDINGS = ["~", ".bak", ".BAK", ".old", ".orig", ".swp", ".save", ".bak1", ".~1~", ".bak.old", ".20261121T101112Z.bak"]
ORDINARY = [
    ".env.example", ".env.sample", ".env.template", ".env.example.bak", "lib/environment.dart", "main.dart.bak", "env",
    "lib/credentials_page.dart", "docker/config.json", "kube/config", "keys.md", "notes.old", "monkey.py",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_secrets_asks_for_reading_and_writing(name: str) -> None:
    for verdict in (judge("coder", "read_file", {"path": name}), write("coder", name), run(f"cat {name}")):
        assert (verdict.decision, verdict.danger) == ("ask", "high"), verdict


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", NAMES)
def test_a_backup_has_the_class_of_what_it_holds(name: str, ending: str) -> None:
    assert family_of(f"{name}{ending}".split("/"), "read").read == "ask"
    assert run(f"cat '{name}{ending}'").decision == "ask"


@pytest.mark.parametrize("name", [".id_rsa.swp", ".prod.env.swp", "#.env#", ".#.env", ".env.swo"])
def test_files_of_editors_have_the_class_of_what_they_hold(name: str) -> None:
    assert family_of([name], "read").read == "ask"


@pytest.mark.parametrize("name", ORDINARY)
def test_other_files_are_read_without_asking(name: str) -> None:
    assert judge("coder", "read_file", {"path": name}).decision == "allow"


@pytest.mark.parametrize(
    "glob",
    [
        "*.env", ".env*", "*.{pem,dart}", "*.{dart,{js,key}}", "{.env,a}", ".{env,foo}", "**/.kube/*", "*.tfstat?",
        "*.bak", "*~", "id_rs[a]", r"\.env", "prod.en*", ".docker/**", "cred*.json", "*.pem.old", "config\\.env",
    ],
)  # fmt: skip
def test_a_glob_that_picks_secrets_asks(glob: str) -> None:
    assert picks_secrets(glob)
    search = judge("coder", "search_in_code", {"query": "x", "file_pattern": glob})
    assert search.decision in ("ask", "deny")
    for command in (f"rg -g '{glob}' x", f"grep -r --include='{glob}' x lib"):
        assert run(command).decision == "ask", command


@pytest.mark.parametrize("glob", ["*", "*.*", "*.dart", "*.{ts,tsx}", "lib/**/*.py", "*.dart.bak", "*_test.{js,ts}"])
def test_a_glob_of_other_files_does_not_ask(glob: str) -> None:
    assert not picks_secrets(glob)


@pytest.mark.parametrize(
    "command",
    [
        "rg -uu KEY", "rg --hidden KEY", "grep -r . . && ls", "diff conf conf2 && ls", "tar c .", "cp -r . /tmp/x",
        "find . -type f -exec cat {} +", "ls -A | xargs cat", "cat *", "cat $(git ls-files -o)",
    ],
)  # fmt: skip
def test_a_read_that_takes_in_secrets_is_dangerous(command: str) -> None:
    verdict = run(command)
    assert (verdict.decision, verdict.danger) == ("ask", "high")


@pytest.mark.parametrize(
    "command",
    [
        "rg KEY && ls", "rg -uu -g '*.py' KEY", "grep -r --include='*.py' x . && ls", "tar czf a.tgz src",
        "find . -name '*.py' -exec cat {} +", "git ls-files | xargs cat", "cp -r src src2",
    ],
)  # fmt: skip
def test_a_read_that_asks_and_leaves_hidden_files_out_is_ordinary(command: str) -> None:
    verdict = run(command)
    assert (verdict.decision, verdict.danger) == ("ask", "normal")


def test_braces_without_end_count_as_secrets() -> None:
    assert picks_secrets("{a,b}" * 20)


def test_the_backup_of_a_secret_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "server.pem").write_text("old", encoding="utf-8")
    executor = WorkspaceExecutor(Workspace(tmp_path))
    arguments = {"path": "server.pem", "content": "new"}
    call = ToolCall(call_id="c", tool_name="write_file", arguments=arguments, requires_approval=True)
    outcome = executor.execute(executor.examine(ToolRequest.of(call)))
    backup = outcome.result["backup_path"]
    assert (tmp_path / backup).read_text(encoding="utf-8") == "old"
    assert judge("coder", "read_file", {"path": backup}).decision == "ask"
    assert write("coder", backup).decision == "deny"
