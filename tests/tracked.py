"""The files of the project as git lists them (tracked, or new and not ignored), and copies of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked_files() -> list[str]:
    """Names below the repository; a file that was removed since may be among them."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return listed.stdout.splitlines()


@contextmanager
def shared_bytecode(copy: Path) -> Iterator[None]:
    """Give a copy of the tree the bytecode that this process and its like have cached; `tests/__init__.py` says where.

    The copied files must have the times of the originals: bytecode of a changed file is not used.
    """
    if sys.pycache_prefix is None:
        yield
        return
    cached, own = (Path(sys.pycache_prefix, *folder.parts[1:]) for folder in (ROOT, copy.resolve()))
    shutil.copytree(cached, own, copy_function=os.link, ignore=shutil.ignore_patterns("*.pyc.*"))  # being written
    try:
        yield
    finally:
        shutil.rmtree(own, ignore_errors=True)
