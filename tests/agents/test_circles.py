"""Going round in circles is noticed; work that only looks alike is not."""

import pytest

from agents.replies.dispatch import is_circle


@pytest.mark.parametrize("signs", ["aaa", "baaa", "aaaa", "ababab", "xababab", "abcabcabc", "aabaabaab"])
def test_the_same_calls_three_times_in_a_row_are_a_circle(signs: str) -> None:
    assert is_circle(list(signs))


@pytest.mark.parametrize("signs", ["", "a", "aa", "aaab", "abab", "abacad", "abcdabcdabcd", "aba"])
def test_other_calls_are_not(signs: str) -> None:
    assert not is_circle(list(signs))
