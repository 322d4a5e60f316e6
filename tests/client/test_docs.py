"""docs/terminal-client.md, the picture and the example say what is."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
import typer

from cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "terminal-client.md").read_text(encoding="utf-8")
RECORDER = ROOT / "docs" / "images" / "record_chat.py"
SHOWN = {
    "chat": ("NOTES.md", "write_file", "execute_command", "Done"),
    "decision": ("greeter.py", "approve", "reject", "Decision"),
    "undo": ("/undo", "greeter.py", "Done"),
}


def options_of(name: str) -> list[str]:
    group = typer.main.get_group(app)
    command = group.commands[name]
    return [option for p in command.params for option in (*p.opts, *p.secondary_opts) if option.startswith("-")]


def told_options(text: str) -> set[str]:
    """The options that a text names between backticks, each as a whole word."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"(?<!\S)\[?(--?[\w-]+)", code)}


def test_every_option_of_the_chat_has_its_row() -> None:
    named = told_options("\n".join(re.findall(r"^\| (`-.+?) +\|", PAGE, re.MULTILINE)))
    assert named == set(options_of("chat"))


def test_every_option_of_the_server_is_described() -> None:
    [row] = re.findall(r"^\| (`agent-runtime serve\b.*?) +\|", PAGE, re.MULTILINE)
    assert told_options(row) == set(options_of("serve"))


def test_every_command_has_its_row() -> None:
    rows = re.findall(r"^\| `agent-runtime ((?:[a-z][a-z-]* ?)+)[^|]*\|", PAGE, re.MULTILINE)
    group = typer.main.get_group(app)
    assert {"chat", *(row.strip() for row in rows)} == {"policy check" if n == "policy" else n for n in group.commands}
    assert re.search(r"^## Options of `agent-runtime chat`$", PAGE, re.MULTILINE)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux")
@pytest.mark.timeout(300)
def test_picture_is_recorded_from_a_run(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("record_chat", RECORDER)
    assert spec is not None
    assert spec.loader is not None
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    assert recorder.MESSAGE in (ROOT / "README.md").read_text(encoding="utf-8")
    assert recorder.record(tmp_path / "chat.svg") == "completed"
    recorded = (tmp_path / "chat.svg").read_text(encoding="utf-8")
    for text in SHOWN["chat"]:
        assert text in recorded


@pytest.mark.parametrize("name", SHOWN)
def test_picture_is_on_a_page_and_shows_what_it_is_for(name: str) -> None:
    picture = (ROOT / f"docs/images/{name}.svg").read_text(encoding="utf-8")
    for text in SHOWN[name]:
        assert text in picture
    assert f"](images/{name}.svg)" in PAGE
