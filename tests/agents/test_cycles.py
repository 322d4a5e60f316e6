"""Going round in cycles is noticed; work that only looks alike is not."""

import pytest

from agents.replies.dispatch import is_cycle


@pytest.mark.parametrize("signs", ["aaa", "baaa", "aaaa", "ababab", "xababab", "abcabcabc", "aabaabaab"])
def test_the_same_calls_three_times_in_a_row_are_a_cycle(signs: str) -> None:
    assert is_cycle(list(signs))


@pytest.mark.parametrize("signs", ["", "a", "aa", "aaab", "abab", "abacad", "abcdabcdabcd", "aba"])
def test_other_calls_are_not(signs: str) -> None:
    assert not is_cycle(list(signs))
