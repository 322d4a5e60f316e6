"""What a model or a file says cannot act on the terminal."""

from io import StringIO

from rich.console import Console

from client.terminal.text import first_lines, shown


def rendered(text: object, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(text)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_control_and_invisible_characters_are_visible() -> None:
    shown_text = rendered(shown("a\x1b[2J\u202eb\u200bc\rd\x07"))
    assert shown_text == "a\\x1b[2J\\u202eb\\u200bc\\rd\\x07\n"


def test_markup_is_text() -> None:
    assert rendered(shown("[red]x[/red] [link=http://a]y[/link]")) == "[red]x[/red] [link=http://a]y[/link]\n"


def test_tabs_become_blanks_or_arrows() -> None:
    assert shown("a\tb").plain == "a    b"
    assert shown("a\tb", show_tabs=True).plain == "a→   b"


def test_long_words_are_folded_not_cut() -> None:
    assert rendered(shown("x" * 25), width=10).replace("\n", "") == "x" * 25


def test_what_is_cut_says_how_much_follows() -> None:
    assert first_lines("a\nb\nc", 2, 100).plain == "a\nb\n… 2 more characters"
    assert first_lines("abcdef", 5, 4).plain == "abcd… 2 more characters"
    assert first_lines("a\nb", 2, 100).plain == "a\nb"
