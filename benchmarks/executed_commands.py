"""Command lines that the judge allows, executed for real: none writes, starts another program or reads outside.

Run: `uv run python -m benchmarks.executed_commands --count 20000 --seed 1 --report docs/executed-commands.md`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.command_lines import lines
from benchmarks.traced_runs import Run, Seen, Workspace, missing
from policy.decide import Call, Environment, Facts, Rights, decide
from policy.rules import load_rules

BATCH = 250
RIGHTS = Rights("coder", "Coder", frozenset({"execute_command"}), "any")


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
            yield Run(line, pipelines, tuple(verdict.execution["env"].items()))


def execute(count: int, seed: int, tried: Counter[str] | None = None) -> Iterator[list[Seen]]:
    """Execute so many allowed lines, batch by batch, each batch in a fresh workspace."""
    runs = islice(allowed_runs(seed, tried=tried), count)
    while batch := list(islice(runs, BATCH)):
        with tempfile.TemporaryDirectory() as folder:
            yield Workspace(Path(folder) / "w").runs(batch)


def main() -> None:
    """Execute, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    tried: Counter[str] = Counter()
    programs: Counter[str] = Counter()
    problems: list[str] = []
    executed = started = by_shell = 0
    start = time.monotonic()
    for seen in execute(arguments.count, arguments.seed, tried):
        for one in seen:
            executed += 1
            started += one.started
            by_shell += one.run.argv[0][0][0] in {"bash", "zsh"}
            programs.update({words[0] for pipeline in one.run.argv for words in pipeline})
            for problem in one.problems:
                problems.append(f"{problem} in {one.run.line!r}")
                print(problems[-1], flush=True)
        print(f"{executed} lines executed, {len(problems)} problems", flush=True)
    minutes = (time.monotonic() - start) / 60
    report = _report(arguments, tried, programs, problems, executed, started, by_shell, minutes)
    print(report)
    if arguments.report:
        arguments.report.write_text(report, encoding="utf-8")
    raise SystemExit(bool(problems))


def _report(
    arguments: argparse.Namespace,
    tried: Counter[str],
    programs: Counter[str],
    problems: list[str],
    executed: int,
    started: int,
    by_shell: int,
    minutes: float,
) -> str:
    kinds = Counter(problem.split(": ")[0] for problem in problems)
    listed = ", ".join(f"`{name}` {count}" for name, count in sorted(programs.items()))
    shown = "".join(f"- {problem}\n" for problem in problems[:50])
    return f"""# Allowed commands, executed

Command lines made at random from the grammar of the read-only list (every program and option, clusters, values attached
and next, operands, revisions, wildcards, pipelines, redirections, and pieces that try to leave the list) were judged;
those that the judge allows without asking were executed under strace, as the execution contract says: `argv` without a
shell, or the line in bash where `argv` is null. The workspace is hostile: its git configuration names a canary program
wherever one can be named (diff, textconv, file system monitor, hooks, pager, signatures, a submodule), files are named
like options, a link leads out of it, and it holds secrets. What the client adds on top (links of operands, the git
configuration, the sandbox) is not at work here.

| figure | value |
|---|---|
| seed | {arguments.seed} |
| lines made: allowed / asked / denied | {tried["allow"]} / {tried["ask"]} / {tried["deny"]} |
| lines executed | {executed} |
| of these by a shell | {by_shell} |
| programs started | {started} |
| writes | {kinds["write"]} |
| foreign processes | {kinds["foreign process"]} |
| reads outside the workspace | {kinds["outside read"]} |
| secrets read | {kinds["secret read"]} |
| network connections | {kinds["network"]} |
| minutes | {minutes:.1f} |

Run it again: `uv run python -m benchmarks.executed_commands --count {executed} --seed {arguments.seed}`.
A seeded 500 are a test (`tests/policy/test_executed_commands.py`).

Executed lines by program: {listed}.

{shown}"""


if __name__ == "__main__":
    main()
