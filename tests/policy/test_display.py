"""What a person sees: every hidden character in view, and no tail cut in silence."""

from __future__ import annotations

import pytest

from policy.verdicts.display import escape_display, shorten_display


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ls -la", "ls -la"),
        ("привет, 日本語, ü", "привет, 日本語, ü"),
        ("ls\nrm x", "ls\nrm x"),
        ("ls\rrm", "ls\\rrm"),
        ("a\tb", "a\\tb"),
        ("a\x1b[2K", "a\\x1b[2K"),
        ("a\x9b", "a\\x9b"),
        ("a\x7f", "a\\x7f"),
        ("\u202ebuild", "\\u202ebuild"),
        ("a\u200bb", "a\\u200bb"),
        ("a\u2066b", "a\\u2066b"),
        ("a\u00a0b", "a\\xa0b"),
        ("a\u2028b", "a\\u2028b"),
        ("a\ufeffb", "a\\ufeffb"),
        ("a\U000e0041b", "a\\U000e0041b"),
        ("a\u3164b", "a\\u3164b"),
        ("a\udc80b", "a\\udc80b"),
        ("a\ufe0fb", "a\\ufe0fb"),
    ],
)
def test_hidden_characters_are_escaped_visibly(text: str, shown: str) -> None:
    assert escape_display(text) == shown


def test_a_cut_is_announced() -> None:
    assert shorten_display("abc", 3) == "abc"
    assert shorten_display("ls" + " " * 500 + "; rm x", 10) == "ls        … 498 more characters"
