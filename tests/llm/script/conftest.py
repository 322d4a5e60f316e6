"""A folder to work in, and a conversation about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.llm.script.conversation import Conversation

README = "# Demo\n\nA small demo.\n\n## Install\n\nNothing to do.\n"
APP = "import os\n\n\nclass Cart:\n    pass\n\n\ndef main():\n    print('one')\n\n\nmain()\n"


@pytest.fixture
def chat(tmp_path: Path) -> Conversation:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    return Conversation(tmp_path)
