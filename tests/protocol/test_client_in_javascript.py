"""docs/protocol.md stands alone: a client in another language, written from it, finishes work in both versions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.openai_stub import OpenAIStub
from tests.running import KEY, running_server
from tools.catalog import TOOLS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
REPLIES = re.findall(r"<!-- reply: (\w+)\.(\w+) -->\n```json\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("version", [1, 2])
def test_a_client_written_from_the_page_finishes_work(
    db_url: str, stub: OpenAIStub, tmp_path: Path, version: int
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    stub.script(
        [
            {"tool": "read_file", "args": {"path": "a.txt"}, "id": "r1"},
            {"tool": "write_file", "args": {"path": "b/c.txt", "content": "три", "create_dirs": True}, "id": "w1"},
            {"tool": "read_file", "args": {"path": "missing.txt"}, "id": "r2"},
            {"text": "Done."},
        ]
    )
    with running_server(db_url=db_url, llm_model="scripted", llm_proxy_url=stub.url) as url:
        script = Path(__file__).with_name("client.mjs")
        done = subprocess.run(
            ["node", str(script), url, KEY, str(workspace), str(version), "Copy it"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    chunks = [json.loads(line) for line in done.stdout.splitlines()]
    final = [chunk for chunk in chunks if chunk["type"] == "assistant_message" and chunk["is_final"]]
    assert final[-1]["content"] == "Done."
    assert (workspace / "b" / "c.txt").read_text(encoding="utf-8") == "три"
    assert "Error: " in stub.last_agent_request["messages"][-1]["content"]


@pytest.mark.parametrize(("module", "name", "example"), REPLIES, ids=[f"{m}.{n}" for m, n, _ in REPLIES])
def test_every_reply_on_the_page_is_a_reply_of_the_code(module: str, name: str, example: str) -> None:
    model: type[BaseModel] = getattr(import_module(f"wire.rest.{module}"), name)
    raw = json.loads(example)
    read = model.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_unset=name == "History")
    assert read == raw


def test_every_reply_of_the_code_is_on_the_page() -> None:
    from server import create_app
    from settings import Settings

    document = create_app(Settings.load(internal_api_key="k")).openapi()
    sent = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, told in operation["responses"].items():
                schema = told.get("content", {}).get("application/json", {}).get("schema", {})
                if status in ("200", "201") and "$ref" in schema and not path.startswith("/events/"):
                    sent.add(schema["$ref"].rsplit("/", 1)[1])
    assert sent - {name for _, name, _ in REPLIES} == set()
    assert len(sent) >= 12


def test_the_usual_result_of_every_client_tool_is_told() -> None:
    told = set(re.findall(r"^\| `(\w+)` \| (?:`\{|free)", PAGE, re.MULTILINE))
    assert {tool.name for tool in TOOLS if tool.runs == "client"} <= told
