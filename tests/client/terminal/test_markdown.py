"""Markdown while it streams: complete blocks stay, words are not broken, nothing of the source is hidden."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from client.terminal.markdown import MarkdownStream, blocks_of
from tests.client.terminal.screen import screen_of

TEXT = """# Title

Some *words* that are long enough to be wrapped by words at each of the widths that a terminal may have here.

- one
- two with `code`

```python
def f():

    return 1
```

<b>html</b> [link](http://example.com/a) <!-- hidden --> \x1b[2J\u202e

| a | b |
|---|---|
| 1 | 2 |

The end."""


def streamed(text: str, width: int, size: int, **options: bool) -> tuple[str, str]:
    """What was written to a terminal, and what its screen shows in the end."""
    console = Console(file=StringIO(), force_terminal=True, width=width, height=60, **options)  # type: ignore[arg-type]
    stream = MarkdownStream(console)
    for start in range(0, len(text), size):
        stream.write(text[start : start + size])
    stream.end()
    raw = console.file.getvalue()  # type: ignore[attr-defined]
    return raw, screen_of(raw, width, 60)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_screen_is_the_same_however_the_text_arrives(width: int) -> None:
    _, whole = streamed(TEXT, width, len(TEXT))
    for size in (1, 7, 64):
        assert streamed(TEXT, width, size)[1] == whole
    assert max(map(len, whole.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_words_are_not_broken(width: int) -> None:
    _, screen = streamed(TEXT, width, 5)
    told = screen[screen.index("Some") :].split()
    assert " ".join(told[:12]) == "Some words that are long enough to be wrapped by words at"


def test_nothing_is_hidden_and_no_control_character_comes_through() -> None:
    raw, screen = streamed(TEXT, 80, 9)
    for shown in ("<b>html</b>", "link (http://example.com/a)", "<!-- hidden -->", "\\x1b[2J\\u202e", "return 1"):
        assert shown in screen
    assert "\x1b[2J" not in raw
    assert "\u202e" not in raw


def test_no_colour_where_none_is_wanted() -> None:
    raw, _ = streamed(TEXT, 80, 9, no_color=True)
    assert "\x1b[3" not in raw.replace("\x1b[3m", "")
    assert "\x1b[4" not in raw.replace("\x1b[4m", "")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", [""]),
        ("one paragraph", ["one paragraph"]),
        ("one\n\ntwo", ["one\n\n", "two"]),
        ("```\na\n\nb\n", ["```\na\n\nb\n"]),
        ("```\na\n```\nafter", ["```\na\n```\n", "after"]),
        ("- a\n\n- b", ["- a\n\n- b"]),
        ("- a\n\ntext", ["- a\n\n", "text"]),
        ("title\n---\ntext", ["title\n---\n", "text"]),
    ],
)
def test_text_is_divided_into_blocks(text: str, blocks: list[str]) -> None:
    assert blocks_of(text) == blocks
