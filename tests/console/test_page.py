"""The page as it is shipped: its weight, its vendored libraries, its fold over the chunks, its picture of the graph."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.pages.files import STATIC, page_files
from graph.builder import build_graph
from tests.protocol.test_golden import CHUNKS, GOLDEN

DOCS = Path(__file__).parents[2] / "docs"
MAX_PACKED_BYTES = 120 * 1024
OURS = sorted(path for path in STATIC.glob("*.js"))
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def test_the_whole_page_weighs_at_most_120_kb_packed() -> None:
    assert sum(len(file.packed) for file in page_files().values()) <= MAX_PACKED_BYTES


def test_vendored_files_are_those_of_the_list() -> None:
    listed = json.loads((STATIC / "vendor" / "vendor.json").read_text(encoding="utf-8"))
    for row in listed:
        assert hashlib.sha256((STATIC / "vendor" / row["file"]).read_bytes()).hexdigest() == row["sha256"], row
        assert (STATIC / "vendor" / f"LICENSE.{row['package']}").is_file()
        assert set(row) == {"file", "package", "version", "license", "source", "sha256"}
    assert {row["file"] for row in listed} == {path.name for path in (STATIC / "vendor").glob("*.js")}


@pytest.mark.parametrize("path", OURS, ids=[path.name for path in OURS])
def test_our_modules_are_small_and_make_no_markup_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("//"), "a module begins with what it holds"
    assert len(text.splitlines()) <= 250
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\b|new Function", text)
        == []
    )
    assert re.findall(r"https?://", text.replace("https?:|mailto:", "")) == []


@needs_node
def test_every_module_is_javascript() -> None:
    for path in OURS:
        checked = subprocess.run(
            ["node", "--check", "--input-type=module"], input=path.read_bytes(), capture_output=True, timeout=60
        )
        assert checked.returncode == 0, (path.name, checked.stderr)


@needs_node
def test_the_fold_of_the_chunks_and_the_picture_of_the_graph() -> None:
    script = Path(__file__).with_name("fold.mjs")
    done = subprocess.run(
        ["node", str(script), str(GOLDEN), json.dumps(sorted(CHUNKS))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    drawn = json.loads(done.stdout)
    compiled = build_graph().get_graph()
    assert set(drawn["nodes"]) == set(compiled.nodes)
    assert {tuple(edge) for edge in drawn["edges"]} == {(edge.source, edge.target) for edge in compiled.edges}


def test_every_picture_of_the_page_in_the_docs_is_taken_and_shown() -> None:
    shown = re.findall(r"\(images/console/([\w-]+\.png)\)", (DOCS / "console.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in (DOCS / "images" / "console").glob("*.png"))
    assert len(shown) == len(set(shown)) >= 10
