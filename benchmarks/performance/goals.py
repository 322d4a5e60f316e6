"""The goals of this server beside the floor, and what a run says of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Figures = Mapping[str, Any]
IN_PROCESS, STUB = "in process", "OpenAI-compatible stub"
_CHAT = "CPU of a chat turn"
_SHOWN = {"statements": "statements", "commits": "commits", "wal_bytes": "WAL bytes"}


class Goal(NamedTuple):
    """One row: what is measured, of both servers, and whether the goal is reached."""

    what: str
    floor: str
    ours: str
    goal: str
    is_reached: bool
    topic: str = ""
    """The paragraph of findings.md that says why it is missed."""


def goals(found: Figures) -> Iterator[Goal]:
    """Say of each goal what was measured; loads that a run left out are left out."""
    for model, kind, most in ((IN_PROCESS, "chat", 0.75), (STUB, "chat", 0.5), (IN_PROCESS, "tool", 0.8)):
        yield from _cpu(found["models"][model]["turns"], model, kind, most)
    turns = found["models"][IN_PROCESS]["turns"]
    for clients in (16, 64):
        load = turns.get(f"chat turns, {clients} clients")
        if load is not None:
            a, b = load["floor"]["turns_per_s"], load["ours"]["turns_per_s"]
            yield Goal(
                f"chat turns/s, {clients} clients", f"{a}", f"{b}, {b / a:.2f} ×", "≥ 1.4 ×", b >= 1.4 * a, _CHAT
            )
    yield from _costs(found["models"][IN_PROCESS]["costs"])
    for goal in _live(found["models"]):
        yield goal._replace(topic="500 at once" if goal.what.startswith("500") else "Live answers")
    a, b = found["starts"]["floor"], found["starts"]["ours"]
    yield _row("CPU s from the start to healthy", a["start_cpu_s"], b["start_cpu_s"], 1.2)
    yield _row("MiB at rest before the first call", a["idle_mib"], b["idle_mib"], 105)
    for kind in ("chat", "tool"):
        name = f"{kind} turns, 1 clients"
        on_postgresql, on_sqlite = turns[name]["ours"]["turns_per_s"], found["sqlite"][name]["turns_per_s"]
        share = on_sqlite / on_postgresql
        what = f"{kind} turns/s on SQLite beside PostgreSQL, 1 client"
        yield Goal(what, "", f"{on_sqlite} / {on_postgresql} = {share:.2f} ×", "≥ 0.8 ×", share >= 0.8)
    several = [load for name, load in found["sqlite"].items() if name.endswith(" 64 clients")]
    if several:
        count = sum(len(load["errors"]) for load in several)
        yield Goal("errors of 64 clients on SQLite", "", f"{count}", "0", count == 0)


def _cpu(turns: Figures, model: str, kind: str, most: float) -> Iterator[Goal]:
    for name, load in turns.items():
        if not name.startswith(kind):
            continue
        a, b = (load[server]["server_cpu_ms"] + load[server]["postgresql_cpu_ms"] for server in ("floor", "ours"))
        ratio, clients = load["ratio"]["cpu"], name.split()[2]
        what = f"CPU ms of a {kind} turn, model {model}, {clients} client{'s' * (clients != '1')}"
        yield Goal(what, f"{a:.1f}", f"{b:.1f}, {ratio} ×", f"≤ {most} ×", ratio <= most, f"CPU of a {kind} turn")


def _costs(costs: Figures) -> Iterator[Goal]:
    for kind, most in (("chat turn", (8, 3, 6000)), ("tool turn", (16, 5, 12_000)), ("live answer", (20,))):
        for name, limit in zip(("statements", "commits", "wal_bytes"), most, strict=False):
            a, b = (costs[kind][server][name] for server in ("floor", "ours"))
            yield _row(f"{_SHOWN[name]} of a {kind}", a, b, limit, topic="Statements, commits and WAL of a turn")


def _live(models: Figures) -> Iterator[Goal]:
    inside, outside = models[IN_PROCESS]["live"], models[STUB]["live"]
    if "100 live answers" in inside:
        load = inside["100 live answers"]
        yield _row("100 live answers: wall s", load["floor"]["wall_s"], load["ours"]["wall_s"], 5.3)
        yield _row("100 live answers: CPU s of the server", _cpu_s(load["floor"]), _cpu_s(load["ours"]), 2.0)
    if "100 live answers" in outside:
        load = outside["100 live answers"]
        a, b = load["floor"], load["ours"]
        yield _row("100 through the stub: wall s", a["wall_s"], b["wall_s"], a["wall_s"], "the floor's")
        yield _row("100 through the stub: CPU s of the server", _cpu_s(a), _cpu_s(b), _cpu_s(a), "the floor's")
        slower = [max(server["walls_s"]) / server["walls_s"][0] for server in (a, b)]
        told = [f"{' / '.join(map(str, s['walls_s']))}: {most:.2f} ×" for s, most in zip((a, b), slower, strict=True)]
        yield Goal("the same: wall s of each round", *told, "≤ 1.1 × the first", slower[1] <= 1.1)
    if "500 live answers" in inside:
        load, spread = inside["500 live answers"], inside["500 live answers over 5 s"]
        yield _row("500 live answers: wall s", load["floor"]["wall_s"], load["ours"]["wall_s"], 9)
        first = [load[server]["first_token"]["p50_ms"] for server in ("floor", "ours")]
        yield _row("500 live answers: first token ms p50", *first, 2000)
        first = [spread[server]["first_token"]["p50_ms"] for server in ("floor", "ours")]
        yield _row("500 over 5 s: first token ms p50", *first, 500)


def _row(what: str, floor: float, ours: float, most: float, told: str | None = None, topic: str = "") -> Goal:
    return Goal(what, f"{floor}", f"{ours}", f"≤ {told or most}", ours <= most, topic)


def _cpu_s(figures: Figures) -> float:
    return round(figures["server_cpu_ms"] * figures["turns"] / 1000, 2)
