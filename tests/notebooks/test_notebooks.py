"""The notebooks run from top to bottom with the scripted model, and are stored without outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs)


def run(path: Path, monkeypatch: pytest.MonkeyPatch, **chosen: str) -> str:
    """Execute a notebook in its folder: all that it printed."""
    for name in [name for name in os.environ if name.startswith("LAB_")]:
        monkeypatch.delenv(name)
    for name, value in {"LAB_LIMIT": "6", **chosen}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = read(path)
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return printed(notebook)


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["prompt_lab", "tour"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [None] * len(cells)
    assert [cell.outputs for cell in cells] == [[]] * len(cells)


@pytest.mark.timeout(150)
@pytest.mark.filterwarnings("ignore")
def test_the_tour_pauses_resumes_and_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = run(FOLDER / "tour.ipynb", monkeypatch)
    assert "next: ('approval',) | agent: coder" in text
    assert "'tool_name': 'write_file'" in text
    assert 'approved: {"success": true, "bytes_written": 5}' in text
    assert "rejected: The user rejected this call: not here" in text


@pytest.mark.timeout(150)
@pytest.mark.filterwarnings("ignore")
def test_the_lab_compares_variants_and_shows_a_recording_without_its_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    replies = {"LAB_LIMIT": "2", "LAB_RECORD": str(tmp_path / "replies.jsonl")}
    text = run(FOLDER / "prompt_lab.ipynb", monkeypatch, **replies)
    assert "without examples, no reprompting" in text
    assert "tool_call_rate" in text
    assert "keywords" in text
    recorded = {"LAB_LIMIT": "2", "LAB_REPLAY": replies["LAB_RECORD"], "LAB_MODEL": "gone@http://127.0.0.1:9"}
    again = run(FOLDER / "prompt_lab.ipynb", monkeypatch, **recorded)
    assert "llm_unavailable" not in again
    assert "without examples, no reprompting" in again
