"""docs/terminal-client.md, the picture and the example say what is."""

import importlib.util
from pathlib import Path

import pytest
import typer

from cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "terminal-client.md").read_text(encoding="utf-8")
RECORDER = ROOT / "docs" / "images" / "record_chat.py"


def options_of(name: str) -> list[str]:
    group = typer.main.get_group(app)
    command = group.commands[name]
    return [option for parameter in command.params for option in parameter.opts if option.startswith("--")]


@pytest.mark.parametrize("option", [*options_of("chat"), *options_of("serve")])
def test_every_option_is_described(option: str) -> None:
    assert f"`{option}" in PAGE


@pytest.mark.parametrize("command", ["serve", "chat", "migrate", "graph", "policy check", "version"])
def test_every_command_is_described(command: str) -> None:
    assert f"`agent-runtime {command}" in PAGE


def test_picture_is_recorded_from_a_run(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("record_chat", RECORDER)
    assert spec is not None
    assert spec.loader is not None
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    assert recorder.MESSAGE in (ROOT / "README.md").read_text(encoding="utf-8")
    assert recorder.record(tmp_path / "chat.svg") == "completed"
    recorded, kept = (
        (tmp_path / "chat.svg").read_text(encoding="utf-8"),
        (ROOT / "docs/images/chat.svg").read_text("utf-8"),
    )
    for text in ("NOTES.md", "write_file", "execute_command", "Done"):
        assert text in recorded
        assert text in kept
