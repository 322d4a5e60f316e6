"""Where the CPU of a turn goes: a module run with a sampler, and its samples by part.

`python -m benchmarks.performance.profile FILE MODULE ARGUMENTS...` runs the module. From SIGUSR1 to SIGUSR2 it notes,
each time some CPU was used, to which part the code that runs belongs; then it writes the counts to FILE as JSON.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType

from benchmarks.performance.processes import ROOT, Server

EVERY_S = 0.001
"""Of CPU; the kernel may count in longer ticks."""
WRITE_S = 10.0
PARTS: Mapping[str, tuple[str, ...]] = {
    "LangGraph": ("langgraph", "ormsgpack"),
    "LangChain and its tracing": ("langchain_core", "langchain_openai", "langsmith"),
    "model client: openai, httpx": ("openai", "httpx", "httpx_sse", "httpcore", "h11", "jiter"),
    "psycopg and its pool": ("psycopg", "psycopg_pool", "psycopg_binary"),
    "HTTP: uvicorn, starlette, FastAPI, sse-starlette": ("uvicorn", "starlette", "fastapi", "sse_starlette", "anyio"),
    "pydantic": ("pydantic", "pydantic_core"),
    "asyncio": ("asyncio", "selectors.py"),
}
OWN = "own code: "
OTHER = "other modules of Python and libraries"


def part_of(file: str) -> str:
    """The part that a file of Python belongs to."""
    path = Path(file)
    names = path.parts
    if "site-packages" in names:
        place = names[names.index("site-packages") + 1]
    elif path.is_relative_to(ROOT):
        return OWN + path.relative_to(ROOT).parts[0].removesuffix(".py")
    else:
        place = "asyncio" if "asyncio" in names else path.name
    return next((part for part, packages in PARTS.items() if place in packages), OTHER)


def sampled_shares(server: Server, file: Path) -> dict[str, float]:
    """End the sampling: what share of the samples each part has, the largest first; below 1 % it counts as other."""
    server.signal(signal.SIGUSR2)
    deadline = time.monotonic() + WRITE_S
    while not file.exists():
        assert time.monotonic() < deadline, "no samples were written"
        time.sleep(0.05)
    counted = Counter(json.loads(file.read_text(encoding="utf-8")))
    total = max(1, counted.total())
    found: Counter[str] = Counter()
    for part, count in counted.items():
        found[part if count >= total / 100 else OTHER] += count
    return {part: round(count / total, 3) for part, count in found.most_common()}


def main() -> None:
    """Run the module of the arguments; samples are taken and written as signals say."""
    out, module, *arguments = sys.argv[1:]
    sampled: Counter[str] = Counter()

    part = cache(part_of)

    def note(_: int, frame: FrameType | None) -> None:
        # What the standard library does counts for its caller.
        while frame is not None and part(frame.f_code.co_filename) == OTHER:
            frame = frame.f_back
        sampled[OTHER if frame is None else part(frame.f_code.co_filename)] += 1

    def begin(_: int, __: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def end(_: int, __: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        written = Path(f"{out}.part")
        written.write_text(json.dumps(sampled), encoding="utf-8")
        written.replace(out)

    for number, handle in ((signal.SIGPROF, note), (signal.SIGUSR1, begin), (signal.SIGUSR2, end)):
        signal.signal(number, handle)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
