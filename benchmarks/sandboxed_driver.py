"""Runs commands as the terminal client does when nobody is asked; started under strace by traced_runs.py.

python -m benchmarks.sandboxed_driver ORDERS RESULTS: both files are JSON, the second says why a run was left out.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.runs import MARK
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement

TIMEOUT_S = 10.0


def main(orders: Path, results: Path) -> None:
    """Examine and run every command in the current folder, each behind its mark."""
    executor = WorkspaceExecutor(Workspace(Path.cwd()), Confinement(find_boundary()))
    reasons = [_run(executor, number, order) for number, order in enumerate(json.loads(orders.read_text()))]
    results.write_text(json.dumps(reasons))


def _run(executor: WorkspaceExecutor, number: int, order: dict[str, Any]) -> str | None:
    """Run one command and give None, or why it was not run."""
    request = ToolRequest("execute_command", {"command": order["line"]}, execution=order["execution"])
    examination = executor.examine(request)
    if examination.refusal is not None:
        return examination.refusal
    if examination.concerns:
        return examination.concerns[0].text
    with suppress(FileNotFoundError):
        os.close(os.open(MARK + str(number), os.O_RDONLY))
    return executor.execute(examination, TIMEOUT_S).error


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
