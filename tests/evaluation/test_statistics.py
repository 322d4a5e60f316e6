"""evaluation/statistics.py and comparison.py: intervals and paired tests, against known values and full enumeration."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import ConfigurationError
from evaluation.comparison import compare, markdown
from evaluation.statistics import interval, paired_p


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_the_interval_of_single_trials_is_wilsons(right: int, count: int, low: float, high: float) -> None:
    found = interval([[number < right] for number in range(count)])
    assert found == pytest.approx((low, high), abs=1e-4)


def test_repeats_of_one_task_do_not_make_it_many_tasks() -> None:
    once = interval([[True], [False], [True], [False]])
    often = interval([[True] * 50, [False] * 50, [True] * 50, [False] * 50])
    assert once is not None
    assert often is not None
    assert often[1] - often[0] > 0.5, "fifty equal repeats say nothing about further tasks"
    assert often == interval([[True] * 50, [False] * 50, [True] * 50, [False] * 50]), "seeded"


def test_nothing_has_no_interval() -> None:
    assert interval([]) is None
    assert interval([[]]) is None


@pytest.mark.parametrize(("gained", "lost", "p"), [(8, 1, 0.0390625), (5, 5, 1.0), (0, 0, 1.0), (6, 0, 0.03125)])
def test_single_trials_are_compared_by_mcnemars_exact_test(gained: int, lost: int, p: float) -> None:
    assert paired_p([1] * gained + [-1] * lost + [0] * 30) == pytest.approx(p)


@given(st.lists(st.integers(-4, 4), max_size=8))
def test_the_paired_test_counts_every_choice_of_signs(differences: list[int]) -> None:
    seen = abs(sum(differences))
    choices = product((1, -1), repeat=len(differences))
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in choices]
    assert paired_p(differences) == pytest.approx(sum(abs(one) >= seen for one in sums) / len(sums))


def test_many_differences_are_counted_exactly() -> None:
    assert paired_p([1] * 2000) == pytest.approx(2.0**-1999, abs=1e-300)
    assert paired_p([3, -3] * 500) == 1.0


def report(**results: list[bool]) -> dict[str, Any]:
    rows = [
        {"task": name, "passed": right, "finished": True, "called": True, "damaged": False}
        for name, rights in results.items()
        for right in rights
    ]
    return {"model": "m", "source": "s", "labels": ["t"], "tasks": {"rows": rows}}


def test_a_comparison_names_what_was_gained_and_lost() -> None:
    before = report(a=[False, False], b=[True, True], c=[True, False], only_before=[True])
    after = report(a=[True], b=[True], c=[False], only_after=[True])
    passed = next(one for one in compare(before, after) if one.name == "passed")
    assert (passed.cases, passed.gained, passed.lost) == (3, ["a"], ["c"])
    assert [passed.before, passed.after] == pytest.approx([0.5, 2 / 3])
    assert passed.p == 1.0
    assert "| passed | 3 | 50.0% | 66.7% | 1.000 | a | c |" in markdown(before, after, compare(before, after))


def test_a_clear_difference_is_marked() -> None:
    names = [f"t{number}" for number in range(8)]
    before, after = report(**{n: [False] for n in names}), report(**{n: [True] for n in names})
    text = markdown(before, after, compare(before, after))
    assert "| passed | 8 | 0.0% | 100.0% | **0.008** | t0, t1, t2, t3, t4 and 3 more | – |" in text


def test_routing_is_compared_by_request() -> None:
    rows = [{"text": "x", "expect": "ask", "got": "ask"}, {"text": "y", "expect": "ask", "got": "coder"}]
    one = {"model": "m", "source": "s", "labels": [], "routing": {"rows": rows}}
    other = {**one, "routing": {"rows": [{**row, "got": "ask"} for row in rows]}}
    [found] = compare(one, other)
    assert (found.name, found.gained, found.before, found.after) == ("routed to the right agent", ["y"], 0.5, 1.0)


def test_reports_without_a_common_case_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="in common"):
        compare(report(a=[True]), report(b=[True]))
