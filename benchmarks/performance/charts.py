"""The figures as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = {"floor": "#888888", "ours": "#2266aa"}


def draw(found: Mapping[str, Any], folder: Path) -> None:
    """Draw performance.svg and growth.svg into a folder."""
    import matplotlib as mpl

    mpl.use("svg")
    folder.mkdir(parents=True, exist_ok=True)
    _draw_cpu(found["models"], folder / "performance.svg")
    _draw_growth(found["models"]["in process"]["growth"], found["long run"], folder / "growth.svg")


def _draw_cpu(models: Mapping[str, Any], file: Path) -> None:
    """Server and PostgreSQL CPU of each load, floor and ours side by side."""
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, len(models), figsize=(6 * len(models), 5), sharex=True, squeeze=False)
    for axes, (model, figures) in zip(all_axes[0], models.items(), strict=True):
        loads = {**figures["turns"], **figures["live"]}
        for place, load in enumerate(loads.values()):
            for offset, server in ((-0.2, "floor"), (0.2, "ours")):
                own, database = load[server]["server_cpu_ms"], load[server]["postgresql_cpu_ms"]
                label = {"label": server} if place == 0 else {}
                axes.barh(place + offset, own, 0.38, color=COLOURS[server], **label)
                axes.barh(place + offset, database, 0.38, left=own, color=COLOURS[server], alpha=0.45)
        axes.set_yticks(range(len(loads)), list(loads))
        axes.invert_yaxis()
        axes.set_title(f"model {model}")
        axes.set_xlabel("CPU ms a turn: server, and PostgreSQL (pale)")
        axes.legend()
    figure.tight_layout()
    figure.savefig(file)


def _draw_growth(growth: Mapping[str, Any], run: Sequence[Mapping[str, Any]], file: Path) -> None:
    """CPU of a turn while a session grows, and memory over a long run."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4))
    for server, steps in growth.items():
        left.plot([s["turn"] for s in steps], [s["cpu_ms"] for s in steps], color=COLOURS[server], label=server)
    left.set_title("one session that grows")
    left.set_xlabel("turn")
    left.set_ylabel("CPU ms a turn, PostgreSQL included")
    left.set_ylim(bottom=0)
    left.legend()
    right.plot([step["turns"] for step in run], [step["mib"] for step in run], color=COLOURS["ours"])
    right.set_title("memory over a long run")
    right.set_xlabel("turns")
    right.set_ylabel("MiB")
    right.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(file)
