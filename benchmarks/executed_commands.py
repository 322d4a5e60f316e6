"""Command lines that the judge allows, executed for real: none writes, starts another program or reads outside.

Run: `nice uv run python -m benchmarks.executed_commands --count 20000 --seed 1 --report docs/executed-commands.md`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.command_lines import lines
from benchmarks.traced_runs import Run, Seen, Workspace, missing_sandbox
from client.workspace.sandbox.choice import find_boundary
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.rules import load_rules

BATCH = 250
RIGHTS = Rights("coder", "Coder", frozenset({"execute_command"}), "any")
HOLDERS: dict[str, Callable[[Workspace, Sequence[Run]], list[Seen]]] = {
    "no sandbox": Workspace.runs,
    "sandbox": Workspace.sandboxed_runs,
}
"""The two ways to execute a line: as the contract says and nothing else, or by the terminal client."""


@dataclass
class Figures:
    """What one way of executing showed."""

    executed: int = 0
    not_run: int = 0
    """Lines that the client asks about."""
    by_shell: int = 0
    pipelines: int = 0
    wildcards: int = 0
    started: int = 0
    minutes: float = 0.0
    programs: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count(self, seen: Seen) -> None:
        """Take one run."""
        if seen.not_run is not None:
            self.not_run += 1
            return
        words = [words for pipeline in seen.run.argv for words in pipeline]
        is_shell = words[0][0] in {"bash", "zsh"}
        self.executed += 1
        self.by_shell += is_shell
        self.pipelines += any(len(pipeline) > 1 for pipeline in seen.run.argv) or (is_shell and " | " in seen.run.line)
        self.wildcards += is_shell and any(sign in seen.run.line for sign in "*?[")
        self.started += seen.started
        self.programs.update({word[0] for word in words})
        self.problems += [f"{problem} in {seen.run.line!r}" for problem in seen.problems]

    def of_kind(self, kind: str) -> int:
        """Say how many problems there were of a kind."""
        return sum(problem.startswith(kind) for problem in self.problems)


def allowed_runs(seed: int, shell: str = "bash", tried: Counter[str] | None = None) -> Iterator[Run]:
    """Yield different lines that are allowed, with what their execution contract says to start."""
    rules = load_rules()
    facts = Facts(Environment.read({"shell": shell, "has_git": True}))
    known: set[str] = set()
    for line in lines(seed):
        if line in known:
            continue
        known.add(line)
        verdict = decide(Call("execute_command", {"command": line}), RIGHTS, facts, rules)
        if tried is not None:
            tried[verdict.decision] += 1
        if verdict.decision == "allow" and verdict.execution is not None:
            argv = verdict.execution["argv"] or [[[shell, "-c", line]]]
            pipelines = tuple(tuple(tuple(words) for words in pipeline) for pipeline in argv)
            yield Run(line, pipelines, tuple(verdict.execution["env"].items()), verdict.execution)


def execute(count: int, seed: int, holder: str, tried: Counter[str] | None = None) -> Iterator[list[Seen]]:
    """Execute allowed lines until so many have run, batch by batch, each batch in a fresh workspace."""
    runs = allowed_runs(seed, tried=tried)
    left = count
    while left > 0:
        with tempfile.TemporaryDirectory() as folder:
            seen = HOLDERS[holder](Workspace(Path(folder) / "w"), list(islice(runs, min(BATCH, left))))
        left -= sum(one.not_run is None for one in seen)
        yield seen


def main() -> None:
    """Execute, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    if reason := missing_sandbox():
        raise SystemExit(reason)
    tried: Counter[str] = Counter()
    figures = {holder: Figures() for holder in HOLDERS}
    for holder, figure in figures.items():
        start = time.monotonic()
        # The second way takes the same lines: they are counted once.
        for seen in execute(arguments.count, arguments.seed, holder, None if tried else tried):
            for one in seen:
                figure.count(one)
            print(f"{holder}: {figure.executed} lines, problems: {figure.problems}", flush=True)
        figure.minutes = (time.monotonic() - start) / 60
    report = _report(arguments.seed, tried, figures)
    print(report)
    if arguments.report:
        arguments.report.write_text(report, encoding="utf-8")
    raise SystemExit(any(figure.problems for figure in figures.values()))


def _report(seed: int, tried: Counter[str], figures: dict[str, Figures]) -> str:
    plain, held = figures.values()
    rows: list[tuple[str, Callable[[Figures], object]]] = [
        ("lines executed", lambda figure: figure.executed),
        ("of these by a shell", lambda figure: figure.by_shell),
        ("of these pipelines", lambda figure: figure.pipelines),
        ("of these with wildcards", lambda figure: figure.wildcards),
        ("lines that the client asks about, not executed", lambda figure: figure.not_run),
        ("programs started", lambda figure: figure.started),
        ("writes", lambda figure: figure.of_kind("write")),
        ("unexpected processes", lambda figure: figure.of_kind("unexpected process")),
        ("reads outside the workspace", lambda figure: figure.of_kind("outside read")),
        ("secrets read", lambda figure: figure.of_kind("secret read")),
        ("network connections", lambda figure: figure.of_kind("network")),
        ("minutes", lambda figure: f"{figure.minutes:.1f}"),
    ]
    table = "\n".join(f"| {name} | {value(plain)} | {value(held)} |" for name, value in rows)
    listed = ", ".join(f"`{name}` {count}" for name, count in sorted(plain.programs.items()))
    problems = "".join(f"- {problem}\n" for figure in figures.values() for problem in figure.problems[:50])
    return f"""# Allowed commands, executed

Command lines made at random from the grammar of the read-only list (every program and option, clusters, values attached
and next, operands, revisions, wildcards, pipelines, redirections, and pieces that try to leave the list) were judged;
those that the judge allows without asking were executed under strace, each in two ways:

- **without a sandbox**, as the execution contract says and nothing else: `argv` without a shell, or the line in bash
  where `argv` is null. What the client adds (links of operands, the git configuration) is not at work.
- **in the sandbox** ({find_boundary().kind}), by the terminal client's executor, as a call that needs no approval.

The workspace is hostile: its git configuration names a canary program wherever one can be named (diff, textconv, file
system monitor, hooks, pager, signatures, a submodule), files are named like options, a link leads out of it, and it
holds secrets. An attempt to write or to start a program counts, also one that fails.

{sum(tried.values())} lines were made with the seed {seed} until {plain.executed} had been executed without a sandbox:
{tried["allow"]} allowed, {tried["ask"]} asked, {tried["deny"]} denied.

| figure | without a sandbox | in the sandbox |
|---|---|---|
{table}

Run it again: `nice uv run python -m benchmarks.executed_commands --count {plain.executed} --seed {seed}`.
A seeded 500 are a test (`tests/policy/test_executed_commands.py`).

Lines by program, without a sandbox: {listed}.

{problems}"""


if __name__ == "__main__":
    main()
