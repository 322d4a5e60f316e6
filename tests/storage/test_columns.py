"""A column is listed once: in the record of its table; the newest revision is the newest file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from storage.connect import open_database
from storage.schema import HEAD, MIGRATIONS, migrate
from storage.statements import RECORDS
from storage.tables.columns import COMPUTED, names_of, read, stored

ROOT = Path(__file__).parent.parent.parent
ADDED = {
    "storage/migrations/versions/9999_note.py": """
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("alter table tool_calls add column note text")
""",
    "storage/tables/calls.py": "    settled_at: str | None = None\n    note: str | None = None\n",
}
"""The change of the test: a revision, and a field of the record."""
SESSION = """
import asyncio, sys
from storage.tables import calls, sessions
from storage.connect import open_database
from storage.schema import migrate

CALL = dict(session_id="s", call_id="c", run_id="r", round=1, interrupt_id=None, kind="approval", agent="coder",
            tool_name="read_file", arguments={}, verdict={}, digest="", state="pending", created_at="2026")

async def main(url):
    await migrate(url)
    database = await open_database(url)
    try:
        async with database.transaction() as tx:
            await sessions.create(tx, "s", "")
            await calls.insert(tx, [{**CALL, "note": "added"}])
            print((await calls.find(tx, "s", "c")).note, len(await calls.open_calls(tx, "s")))
    finally:
        await database.close()

asyncio.run(main(sys.argv[1]))
"""


@dataclass(frozen=True)
class Parcel:
    id: str
    state: Literal["new", "sent"]
    is_open: bool
    contents: list[dict[str, Any]] | None
    size: int = field(metadata=COMPUTED)
    note: str | None = None


class Row(NamedTuple):
    contents: str | None
    size: int
    id: str
    is_open: int
    note: str | None
    state: str
    unknown: str = "a column that a newer version added"


def test_a_row_is_read_by_name_whatever_its_order() -> None:
    row = Row('[{"a": null}]', 3, "p", 0, None, "sent")
    assert read(Parcel, row) == Parcel("p", "sent", False, [{"a": None}], 3)
    assert names_of(Parcel) == "id, state, is_open, contents, note"


def test_a_value_that_is_left_out_takes_its_default_and_a_missing_one_is_an_error() -> None:
    values = {"id": "p\0", "state": "new", "is_open": True, "contents": [{"a": "\ud800"}]}
    written = stored(Parcel, values)
    assert written == {"id": "p\ufffd", "state": "new", "is_open": 1, "contents": '[{"a": "\ufffd"}]', "note": None}
    with pytest.raises(KeyError, match="contents"):
        stored(Parcel, {"id": "p", "state": "new", "is_open": True})


async def test_every_record_has_the_columns_of_its_table(db_url: str) -> None:
    await migrate(db_url)
    database = await open_database(db_url)
    try:
        async with database.autocommit() as tx:
            for table, record in RECORDS.items():
                await tx.connection.execute(f"select {names_of(record)} from {table}")
    finally:
        await database.close()


def test_no_statement_lists_the_columns_of_a_record_again() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "storage" / "sql").rglob("*.sql")}
    wrong = [
        f"{path.name}: {table}"
        for path, text in texts.items()
        for table, record in RECORDS.items()
        if names_of(record) in re.sub(r"\s+", " ", text)
    ]
    assert wrong == []


def test_the_newest_file_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_column_is_added_in_two_files(db_url: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "storage", tree / "storage", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("errors.py", "json_text.py"):
        shutil.copy(ROOT / name, tree / name)
    for name, text in ADDED.items():
        path = tree / name
        if not path.exists():
            path.write_text(text.replace("{head}", HEAD), encoding="utf-8")
            continue
        before = path.read_text(encoding="utf-8")
        first = text.splitlines(keepends=True)[0]
        assert before.count(first) == 1
        path.write_text(before.replace(first, text), encoding="utf-8")
    command = [sys.executable, "-c", SESSION, db_url]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["added", "1"]), done.stderr
