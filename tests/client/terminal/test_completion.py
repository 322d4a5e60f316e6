"""What Tab offers in a request."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from client.terminal.input.completion import RequestCompleter, without_marks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/main.py").touch()
    (tmp_path / "lib/two words.py").touch()
    (tmp_path / ".env").touch()
    (tmp_path / "outside").symlink_to("/")
    return tmp_path.resolve()


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("/ag", ["/agents", "/agent"]),
        ("look at /ag", []),
        ("look at @", ["lib/", "outside"]),
        ("look at @l", ["lib/"]),
        ("look at @lib/", ["main.py"]),
        ("@lib/m", ["main.py"]),
        ("@.e", [".env"]),
        ("@../", []),
        ("@outside/", []),
        ("@nowhere/", []),
        ("mail me@lib", []),
    ],
)
def test_commands_and_files_are_offered(root: Path, text: str, offered: list[str]) -> None:
    completer = RequestCompleter(["/agents", "/agent", "/help"], root)
    found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    assert [completion.text for completion in found] == offered


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("explain @lib/main.py, please", "explain lib/main.py, please"),
        ("@lib and @nowhere", "lib and @nowhere"),
        ("mail me@lib", "mail me@lib"),
    ],
)
def test_mention_of_a_file_is_sent_as_its_path(root: Path, text: str, sent: str) -> None:
    assert without_marks(text, root) == sent
