from pathlib import Path

import pytest

from tests.client.journal.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.txt").write_text("old\n")
    return Bench(root)
