"""The one-place table of ARCHITECTURE.md: each change is made in a copy of the tree, there and nowhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tracked import shared_bytecode, tracked_files

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.timeout(180)

TOOL = '''"""`delete_file`: delete a file of the workspace."""

from tools.tool import Tool, arguments_schema

DELETE_FILE = Tool(
    name="delete_file",
    description="Delete a file of the workspace.",
    parameters=arguments_schema({"path": {"type": "string"}}, required=["path"]),
)
'''
AGENT = """    Agent(
        name="reviewer",
        when="Reviews changes and removes what is dead.",
        tools=_READING | _WRITING | _FINISHING | _SWITCHING,
        writes="any",
    ),
"""
PROMPT = "You are the Reviewer agent of an IDE.\n\n$tools\n\n$environment\n\n$other_agents\n"
RULE = """
[[rule]]
id = "no-generated-folder"
tool = "write_file"
path = ["generated/**"]
decision = "deny"
why = "Run the generator."
match = [{ path = "generated/a.py" }]
not_match = [{ path = "lib/a.py" }]
"""
PROOFS = {
    "add a tool": "tests/test_one_place.py::test_a_new_tool_asks_and_its_paths_are_guarded",
    "add an agent, give it a tool": "tests/test_one_place.py::test_a_new_agent_is_classified_switched_to_and_planned",
    "change what may run": "tests/test_one_place.py::test_one_rule_changes_what_may_run",
    "change a prompt": "tests/test_one_place.py::test_a_prompt_is_its_file",
    "add a chunk kind": "tests/test_one_place.py::test_a_chunk_of_the_new_kind_is_made_of_its_event",
    "change what a message means for its session": "tests/test_one_place.py::test_a_changed_decision_needs_no_database",
    "add a setting": (
        "tests/test_one_place.py::test_a_setting_and_a_chunk_kind_are_asked_for_until_they_are_documented"
    ),
    "add a column": "tests/storage/test_columns.py::test_a_column_is_added_in_two_files",
    "see the graph": "tests/test_one_place.py::test_a_new_node_is_drawn",
    "watch a run without a model": "tests/test_readme.py::test_the_first_command_finishes_real_work",
}
"""The test of each row of the one-place table of ARCHITECTURE.md."""
CHUNK = '''class Reviewed(Chunk):
    """A review has ended."""

    type: Literal["reviewed"] = "reviewed"
    content: str


AnyChunk = Annotated['''


def replace(folder: Path, path: str, change: Callable[[str], str]) -> None:
    """Replace a hard link by a changed file: the original keeps its text."""
    target = folder / path
    text = change(target.read_text(encoding="utf-8")) if target.exists() else change("")
    target.unlink(missing_ok=True)
    target.write_text(text, encoding="utf-8")


def inserted(before: str, text: str) -> Callable[[str], str]:
    def change(whole: str) -> str:
        assert whole.count(before) == 1, f"{before!r} stands {whole.count(before)} times"
        return whole.replace(before, text + before)

    return change


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tracked files by hard links, with one tool, agent, rule, prompt, chunk kind and setting changed."""
    folder = tmp_path_factory.mktemp("copy")
    for name in tracked_files():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(ROOT / name, folder / name)
    replace(folder, "tools/delete_file.py", lambda _: TOOL)
    replace(folder, "tools/catalog.py", inserted("    EXECUTE_COMMAND,\n", "    DELETE_FILE,\n"))
    replace(folder, "tools/catalog.py", inserted("from tools.echo ", "from tools.delete_file import DELETE_FILE\n"))
    replace(folder, "agents/roster.py", inserted('    Agent(\n        name="universal"', AGENT))
    replace(folder, "prompts/reviewer.md", lambda _: PROMPT)
    replace(folder, "policy/rules.toml", lambda text: text + RULE)
    replace(folder, "prompts/ask.md", lambda text: "A changed first line.\n" + text)
    replace(
        folder, "settings.py", lambda text: re.sub(r"(\n    port: )", r'\n    colour: str = "blue"\1', text, count=1)
    )
    replace(folder, "runs/decision/decide.py", lambda text: text.replace("[:TITLE_CHARS]", "[:TITLE_CHARS].upper()"))
    node = '    builder.add_node("review", wait_for_answer)\n'
    replace(folder, "graph/builder.py", inserted("    builder.add_conditional_edges(START, first_node)", node))
    replace(folder, "wire/protocol.py", lambda text: text.replace("AnyChunk = Annotated[", CHUNK))
    replace(folder, "wire/protocol.py", inserted("    | Done,\n", "    | Reviewed\n"))
    reviewed = '        case "reviewed":\n            return [Reviewed(content=event["content"])]\n'
    replace(folder, "wire/chunks.py", inserted('        case "plan_rejected":', reviewed))
    replace(folder, "wire/chunks.py", inserted("    Status,\n    Sub", "    Reviewed,\n"))
    with shared_bytecode(folder):
        yield folder


@pytest.fixture(scope="module")
def facts(copy: Path) -> dict[str, Any]:
    done = run(copy, "-m", "tests.one_place_probe")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_new_tool_asks_and_its_paths_are_guarded(facts: dict[str, Any]) -> None:
    assert facts["ordinary"] == ["ask", "This tool requires user approval"]
    assert facts["secret"][0] == "ask"
    assert "secrets" in facts["secret"][1]
    assert facts["git"][0] == facts["outside"][0] == "deny"
    assert facts["clearing"] is None


def test_a_new_tool_is_denied_to_agents_that_do_not_write(facts: dict[str, Any]) -> None:
    assert facts["ask_agent"][0] == facts["architect"][0] == "deny"
    assert facts["ask_agent"][1].startswith("Ask agent cannot modify files.")
    assert facts["ask_agent"][1].endswith("please switch to Coder or Reviewer agent.")


def test_a_new_tool_is_offered_asked_about_and_rejected(facts: dict[str, Any]) -> None:
    assert "- delete_file: Delete a file" in facts["prompt"]
    assert facts["switched"]["waiting"] == [["approval", "delete_file"]]
    assert ["delete_file", "The user rejected this call."] in facts["switched"]["told"]


def test_clients_without_the_new_tool_say_so(facts: dict[str, Any]) -> None:
    assert facts["refused"] == "This client has no tool 'delete_file'."
    assert facts["workspace"] == {"error": "This client has no tool 'delete_file'."}
    assert facts["trial"] == {"calls": ["delete_file"], "wrong": 0, "passed": True}


def test_a_new_agent_is_classified_switched_to_and_planned(facts: dict[str, Any]) -> None:
    assert "- reviewer: Reviews changes" in facts["classifier"]
    assert "|reviewer" in facts["classifier"]
    assert "reviewer" in facts["labels"]
    assert facts["classified"] == "reviewer"
    assert facts["switched"]["agent"] == "reviewer"
    assert facts["subtask_agents"] == ["coder", "debug", "ask", "reviewer"]
    assert facts["planned"] == ["reviewer", "coder"]
    assert "reviewer" in facts["chosen"]


def test_no_agent_is_offered_itself(facts: dict[str, Any]) -> None:
    assert facts["switch_of_coder"] == ["orchestrator", "architect", "debug", "ask", "reviewer"]
    assert facts["switch_of_reviewer"] == ["orchestrator", "coder", "architect", "debug", "ask"]


def test_one_rule_changes_what_may_run(facts: dict[str, Any]) -> None:
    assert facts["rule"] == ["deny", "Path 'generated/a.py' is not allowed: Run the generator."]
    assert facts["rule_elsewhere"][0] == "ask"


def test_a_prompt_is_its_file(facts: dict[str, Any]) -> None:
    assert facts["changed_prompt"] == "A changed first line."


def test_a_setting_and_a_chunk_kind_are_asked_for_until_they_are_documented(copy: Path) -> None:
    documentation = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-k", "setting or chunk or heading"]
    suites = ["tests/test_docs.py", "tests/protocol/test_golden.py"]
    before = run(copy, *documentation, *suites)
    missing = set(re.findall(r"^FAILED \S+::(\w+(?:\[\w+\])?)", before.stdout, re.MULTILINE))
    assert {"test_every_setting_has_its_line[colour]", "test_chunk[reviewed]"} <= missing, before.stdout
    fields = json.loads((copy / "tests/golden/chunk_session_info.json").read_text(encoding="utf-8"))
    kind = {**dict.fromkeys(fields), "is_final": False, "requires_approval": False}
    golden = json.dumps({**kind, "type": "reviewed", "content": "Reviewed"})
    replace(copy, "tests/golden/chunk_reviewed.json", lambda _: golden)
    replace(copy, "docs/protocol.md", lambda text: text + "\n### `reviewed`\n")
    replace(copy, "docs/settings.md", lambda text: text + "\n| `COLOUR` | `blue` | The colour. |\n")
    after = run(copy, *documentation, *suites)
    assert after.returncode == 0, after.stdout


def test_a_chunk_of_the_new_kind_is_made_of_its_event(copy: Path) -> None:
    code = 'from wire.chunks import chunks_of_event as c; print(c({"event": "reviewed", "content": "x"})[0].type)'
    assert run(copy, "-c", code).stdout.strip() == "reviewed"


def test_a_changed_decision_needs_no_database(facts: dict[str, Any]) -> None:
    assert facts["title"] == "READ"


def test_a_new_node_is_drawn(facts: dict[str, Any]) -> None:
    assert "review" in facts["nodes"]


def table() -> dict[str, str]:
    """The one-place table: the place of each wish."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## One-place changes")[2]
    rows = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", text, re.MULTILINE))
    del rows["wish"]
    return rows


def test_every_row_of_the_table_has_its_test() -> None:
    assert set(table()) == set(PROOFS)
    for proof in PROOFS.values():
        path, _, name = proof.partition("::")
        assert re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), proof


def test_the_table_names_places_that_exist() -> None:
    places = [place for cell in table().values() for place in re.findall(r"\]\(([\w./]+)\)", cell)]
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []
