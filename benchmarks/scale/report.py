"""docs/scale-report.md from the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "scale-report.md"
HEAD = """# Scale

Written by `python -m benchmarks.scale` (`--sessions`, `--events`, `--only PART`); the figures as JSON:
[scale-report.json](scale-report.json). The machine was shared meanwhile: CPU, blocks and counts say more than seconds.
"""


def write_report(found: Figures) -> None:
    """Write the page: one section for each part that was measured."""
    sections = {"tables": _tables, "overload": _overload, "bodies": _bodies, "replies": _replies, "notify": _notify}
    lines = [HEAD]
    for part, section in sections.items():
        if part in found:
            lines += section(found[part])
    PAGE.write_text("\n".join(lines), "utf-8")


def _tables(found: Figures) -> Iterator[str]:
    yield "## Many sessions\n"
    yield (
        f"{found['few']} sessions and {found['sessions']:,} sessions with {found['events']:,} events "
        f"({found['many_tables_mib']:,} MiB), with as many rows for each. Blocks are those of tables and indexes that "
        "one "
        "operation reads (`pg_statio_user_tables`), CPU is that of PostgreSQL; what heartbeats take is left "
        "out (CPU is counted in ticks of 10 ms: 0 is below that). "
        "That each statement finds its rows by an index is `tests/storage/test_statements_of_a_server.py`.\n"
    )
    yield "| operation | blocks, few | blocks, many | ratio | CPU ms, few | CPU ms, many |\n|---|---|---|---|---|---|"
    for name, few in found["few_tables"].items():
        many = found["many_tables"][name]
        ratio = many["blocks"] / few["blocks"]
        yield (
            f"| {name} | {few['blocks']:.0f} | {many['blocks']:.0f} | {ratio:.2f} "
            f"| {few['cpu_ms']:.1f} | {many['cpu_ms']:.1f} |"
        )
    yield ""


def _overload(found: Figures) -> Iterator[str]:
    yield "## Twice the capacity\n"
    yield (
        f"`MAX_RUNS` is {found['max_runs']}. Owner `heavy` offers {found['offered']} live answers at once, each of "
        f"{found['pieces']} pieces 0.1 s apart, and repeats what is refused; owner `light` sends one after another.\n"
    )
    yield "| load | answers | refused with 503 | most runs at once | CPU ms an answer | s an answer, p50 | p95 |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in found["rows"].items():
        yield (
            f"| {name} | {row['answers']} | {row['refused']} | {row['most']} | {row['cpu_ms']:.1f} "
            f"| {row['p50_s']:.2f} | {row['p95_s']:.2f} |"
        )
    yield ""


def _bodies(found: Figures) -> Iterator[str]:
    yield "## How long the event loop waits\n"
    yield (
        "The longest time that the thread of the event loop computed without looking at its other tasks, while one "
        "tool result of that form and size was taken, stored and answered; CPU time of the thread, so other processes "
        "do not count. 422: it has more values than a request may hold, 413: more bytes. "
        "The limits: 50 ms up to 1 MB, 250 ms at `MAX_BODY_BYTES` (8 MiB).\n"
    )
    yield "| body | size | status | longest ms |\n|---|---|---|---|"
    for row in found["rows"]:
        yield f"| {row['body']} | {row['bytes'] / 1e6:.2f} MB | {row['status']} | {row['longest_ms']:.0f} |"
    yield ""


def _replies(found: Figures) -> Iterator[str]:
    yield "### The same for replies of a model server\n"
    yield (
        "A turn reads the reply, stores it and shows it. A reply may have 64 MiB, an event 8 MiB, and 2 MiB of text, "
        "arguments and thoughts may be kept of it (`llm/reply/body.py`); one that goes beyond fails the turn. "
        "The limits of the waits are the same.\n"
    )
    yield "| reply | outcome | longest ms |\n|---|---|---|"
    for row in found["rows"]:
        yield f"| {row['reply']} | {row['outcome']} | {row['longest_ms']:.0f} |"
    yield ""


def _notify(found: Figures) -> Iterator[str]:
    yield "## Writers and notifications\n"
    yield (
        "PostgreSQL serializes commits that notify, for each database. Writers append with the statement of the log "
        "writer on connections of their own, and three connections listen. The log writer sends one notification for "
        "up to 80 sessions of an append.\n"
    )
    yield "| writers | sessions of an append | events/s | appends/s | CPU ms of PostgreSQL for 1,000 events |"
    yield "|---|---|---|---|---|"
    for row in found["rows"]:
        yield (
            f"| {row['writers']} | {row['sessions']} | {row['events_s']:,.0f} | {row['appends_s']:,.0f} "
            f"| {row['cpu_ms']:.0f} |"
        )
    yield ""
