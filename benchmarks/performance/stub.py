"""The model server of the benchmark, in a process of its own: prints its address, ends with its input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.performance.loads import respond
from benchmarks.performance.processes import ROOT
from tests.openai_stub import OpenAIStub


@contextmanager
def model_server() -> Iterator[str]:
    """Run the model server; gives its address."""
    command = [sys.executable, "-m", "benchmarks.performance.stub"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the model server did not start"
        yield address
    finally:
        process.stdin.close()
        process.wait(30)


if __name__ == "__main__":
    with OpenAIStub() as stub:
        stub.responder = respond
        print(stub.url, flush=True)
        sys.stdin.read()
