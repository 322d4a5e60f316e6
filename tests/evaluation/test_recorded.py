"""The committed replies of a small real model, played by today's runtime; docs/evaluation.md prints the figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.comparison import compare, read_report
from evaluation.evaluate import EvalOptions, evaluate
from evaluation.tasks import EDITS, HELD_OUT
from prompts.render import variant

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "notebooks" / "recorded"
MAX_BYTES = 300_000


@pytest.mark.parametrize(
    ("labels", "report"), [(HELD_OUT, "before.json"), (EDITS, "before_edits.json")], ids=["held out", "edits"]
)
async def test_the_runtime_plays_the_recorded_model_and_gets_the_published_figures(labels: Path, report: str) -> None:
    texts = json.loads((RECORDED / "prompts.json").read_text(encoding="utf-8"))
    with variant(**texts):
        now = await evaluate(EvalOptions(replay=RECORDED / "replies.jsonl", tasks=labels))
    found = now["tasks"]
    assert found["unmeasured"] == 0, "today's runtime asks something else: record again, as docs/evaluation.md says"
    before = read_report(RECORDED / report)
    published = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name in ("damaged", "strayed"):
        assert f"| {name} | {found[name]} of {found['trials']} |" in published, (name, found[name])
    for one in compare(before, now):
        row = f"| {one.name} | {one.cases} | {one.before:.1%} | {one.after:.1%} |"
        assert row in published, row
    for name in ("tool_call", "finishing", "pass"):
        rate, ends = (found[f"{name}_{part}"] for part in ("rate", "interval"))
        row = f"| {name.replace('_', ' ')} rate | {rate:.1%} | {ends[0]:.1%} to {ends[1]:.1%} |"
        assert row in published, row
    agents = found["agents"] if len(found["agents"]) > 1 else {}
    for agent, rates in agents.items():
        row = f"| {agent} | {rates['tasks']} | {rates['tool_call_rate']:.1%} | {rates['finishing_rate']:.1%} |"
        assert f"{row} {rates['pass_rate']:.1%} |" in published, (agent, rates)


def test_the_recording_is_small() -> None:
    assert sum(path.stat().st_size for path in RECORDED.iterdir()) < MAX_BYTES
