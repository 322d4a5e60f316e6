"""How the text of an edit is found in a file, and what becomes of its line ends."""

from __future__ import annotations

import pytest

from tools.edit_file import LIKELY_LINES, edited


@pytest.mark.parametrize(
    ("text", "old", "new", "wanted"),
    [
        ("a\nb\nc\n", "b", "x", "a\nx\nc\n"),
        ("a\nb\nc", "b\nc", "x", "a\nx"),
        ("a  \nb\n", "a\nb", "x", "x\n"),
        ("a\nb\n", "a \t\nb  ", "x", "x\n"),
        ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n"),
        ("a\nb\nc\n", "a\r\nb", "x\r\ny", "x\ny\nc\n"),
        ("a\r\nb\nc\n", "b\nc", "x\ny", "a\r\nx\ny\n"),
        ("a\rb\rc", "a\nb", "x\ny", "x\ry\rc"),
        ("return x", "return ", "yield ", "yield x"),
        ("one", "one", "one\ntwo", "one\ntwo"),
        ("a\n\n  \nb\n", "a\n\n\nb", "x", "x\n"),
        ("(a+b)*c\\d", "(a+b)*c\\d", "\\1\\g<0>", "\\1\\g<0>"),
        ("a\u2028b\n", "a\u2028b", "x", "x\n"),
        ("x = 1\n", "x = 1\n", "", ""),
    ],
)
def test_one_occurrence_is_replaced(text: str, old: str, new: str, wanted: str) -> None:
    assert edited(text, old, new, path="a.py") == wanted


def test_as_many_as_counted_are_replaced() -> None:
    assert edited("a a a", "a", "bb", count=3, path="a.py") == "bb bb bb"


@pytest.mark.parametrize(
    ("text", "old", "count", "sentence"),
    [
        ("a a", "a", 1, "Found 2 occurrences of the text, expected 1: give more of its surroundings."),
        ("a", "a", 2, "Found 1 occurrences of the text, expected 2: give more of its surroundings."),
        ("a\nb\na  \nb\n", "a\nb", 1, "Found 2 occurrences of the text, expected 1: give more of its surroundings."),
        ("a", "A", 1, "The text does not occur in lib/a.py: read the file again."),
        ("", "a", 1, "The text does not occur in lib/a.py: read the file again."),
        ("  a", "\ta", 1, "The text does not occur in lib/a.py: read the file again."),
        ("returned", "return ", 1, "The text does not occur in lib/a.py: read the file again."),
    ],
)
def test_another_number_is_an_error(text: str, old: str, count: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        edited(text, old, "x", count=count, path="lib/a.py")
    first, *more = str(raised.value).splitlines()
    assert first == sentence
    found = sentence.startswith("Found") and sentence.split()[1]
    assert more == ([f"To replace all {found}, send the same edit with `count` {found}."] if found else [])


GAP = "\n" * 9


@pytest.mark.parametrize(
    ("text", "old", "quoted"),
    [
        ("import os\n\nDELAY_S = 5\nTRIES = 3\n", "retryDelay = 10", ["DELAY_S = 5"]),
        ("\n".join("abcdefghi"), "e()", []),
        (
            "\n".join(["one", "two", *"abcd", "enum state {", *"efgh"]),
            "enum State { A }",
            ["enum state {"],
        ),
        ("def a():\n\treturn one\n", "def a():\n    return one", ["def a():", "\treturn one"]),
        ("# Цена\nprice = 1\nsum = 2\n", "цена = 1", ["# Цена", "price = 1"]),
        (f"a: 1\n{GAP}b: 2\n{GAP}sum -= x\n", "total -= x", ["sum -= x"]),
        (f".card {{\n radius: 8\n{GAP}.key {{\n radius: 6\n", "radius 9", []),
        ("key: 1\nend: 2\nkey: 3\n", "key = 9", ["key: 1", "end: 2", "key: 3"]),
        ("let value\n" * 30 + "\n" * 9 + "let total\n", "let total = value", ["let total"]),
        ("x" * 1000 + " name\nname\n", "name()", ["name"]),
        ("name: 1\n" + "x" * 1000 + "\nname: 2\n", "name = 3", []),
        ("one: 1\n\nend: 2\n\nfour\n", "one: 1\nx\nend: 2\ny", ["one: 1", "", "end: 2"]),
    ],
    ids=[
        *("in an identifier", "nothing", "around", "indentation", "other alphabet", "operator", "two parts", "no gap"),
        *("rare word", "long line", "long line between", "gap in the text"),
    ],
)
def test_a_text_that_does_not_occur_is_answered_with_the_part_most_like_it(
    text: str, old: str, quoted: list[str]
) -> None:
    with pytest.raises(ValueError, match="does not occur in lib/a") as raised:
        edited(text, old, "x", path="lib/a.py", may_quote=True)
    assert str(raised.value).splitlines()[2:] == quoted
    with pytest.raises(ValueError, match=r"read the file again\.$"):
        edited(text, old, "x", path="lib/a.py")


def test_places_that_are_alike_are_quoted_only_together() -> None:
    """A model copies what is quoted, with gaps too, or takes the wrong one of two."""
    near = "let value = 1;\r\n" + "\r\n" * (LIKELY_LINES - 1)
    with pytest.raises(ValueError, match="most like it") as raised:
        edited(near + "let value = 1;", "let value = 2;", "x", path="lib/a.py", may_quote=True)
    assert len(str(raised.value).splitlines()[2:]) == LIKELY_LINES + 1
    with pytest.raises(ValueError, match=r"from the file\.$"):
        edited(near + "\nlet value = 1;", "let value = 2;", "x", path="lib/a.py", may_quote=True)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [("a = 1\n", "a = 1", "a = 1"), ("a = 1\r\n", "a = 1\n", "a = 1\r\n"), ("a\na\n", "a", "a")],
)
def test_an_edit_that_would_change_nothing_is_told(text: str, old: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"change nothing in a\.py") as raised:
        edited(text, old, new, count=text.count(old[0]), path="a.py")
    assert "`old` and `new` are equal" in str(raised.value)


def test_of_equal_texts_that_do_not_occur_both_is_told() -> None:
    with pytest.raises(ValueError, match="does not occur in a") as raised:
        edited("delay = 1\n", "delay = 2", "delay = 2", path="a.py", may_quote=True)
    _, equal, advice, quoted = str(raised.value).splitlines()
    assert equal.startswith("`old` and `new` are equal")
    assert advice.startswith("Keep this `new` and copy `old`")
    assert quoted == "delay = 1"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("old", [" \n", "\n \nx", "a \nb", "  "])
def test_long_runs_of_blanks_take_linear_time(old: str) -> None:
    with pytest.raises(ValueError, match="occur"):
        edited(" " * 1_000_000 + "y", old, "x", path="a.py")


@pytest.mark.timeout(20)
def test_a_part_of_a_long_file_is_found_in_linear_time() -> None:
    with pytest.raises(ValueError, match="let total"):
        edited("let value\n" * 200_000 + "let total\n", "let total = value\n" * 40, "x", path="a.py", may_quote=True)
