"""The CPU of a turn beside that of a bare app of the same parts, both in one run: a gate with generous slack."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from benchmarks.performance.bench import Bench
from benchmarks.performance.processes import postgresql
from benchmarks.performance.profile import OTHER, part_of
from benchmarks.performance.report import errors_of
from benchmarks.performance.sizes import Size

SHORT = Size(rounds=3, clients=(1,), turns=10, warm_up=10)
MOST = 3.0
"""CPU of server and PostgreSQL, ours by the floor's; docs/performance.md has what it is."""


def test_a_turn_takes_no_more_cpu_than_so_many_turns_of_a_bare_app() -> None:
    with ExitStack() as stack:
        postgres, meter = stack.enter_context(postgresql())
        bench = Bench(postgres, meter, None, SHORT, stack)
        loads = asyncio.run(bench.turns())
    assert set(loads) == {"chat turns, 1 clients", "tool turns, 1 clients"}
    assert errors_of(loads) == []
    ratios = {name: load["ratio"]["cpu"] for name, load in loads.items()}
    assert all(0 < ratio <= MOST for ratio in ratios.values()), ratios


def test_an_error_of_any_part_of_a_run_is_found() -> None:
    found = {"live": {"ours": {"errors": ["first"]}}, "growth": {"floor": [{"errors": []}, {"errors": ["second"]}]}}
    assert errors_of(found) == ["first", "second"]
    assert errors_of({"long run": [{"turns": 16, "errors": []}]}) == []


def test_code_counts_for_the_package_that_it_belongs_to() -> None:
    from langgraph.pregel import main

    from runs.drive import attempt

    assert part_of(main.__file__) == "LangGraph"
    assert part_of(attempt.__file__) == "own code: runs"
    assert part_of(asyncio.tasks.__file__) == "asyncio"
    assert part_of("<string>") == OTHER
