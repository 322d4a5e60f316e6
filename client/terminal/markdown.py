"""Markdown as it streams: blocks that are complete are printed, the last one is drawn again until it is."""

from __future__ import annotations

import time
from itertools import pairwise
from math import ceil

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.markdown import Markdown
from rich.segment import ControlType, Segment, Segments

from policy.verdicts.display import escape_display

REDRAW_S = 0.05
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


class MarkdownBlock:
    """One block of foreign Markdown; HTML and addresses of links are shown, what a terminal would obey is written out.

    The blank lines around it are left out, so that blocks look the same one by one and together.
    """

    def __init__(self, text: str) -> None:
        visible = escape_display(text.replace("\t", "    "))
        self._markdown = Markdown(visible, hyperlinks=False)
        self._markdown.parsed = _PARSER.parse(visible)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the block."""
        lines = console.render_lines(self._markdown, options, pad=False)
        while lines and _is_blank(lines[0]):
            lines.pop(0)
        while lines and _is_blank(lines[-1]):
            lines.pop()
        for line in lines:
            yield from line
            yield Segment.line()


def _is_blank(line: list[Segment]) -> bool:
    return not "".join(segment.text for segment in line).strip()


class MarkdownStream:
    """One answer on a terminal; `end` completes it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = ""
        self._drawn: list[list[Segment]] = []
        """The lines of the last block as it stands on the screen; the cursor is below them."""
        self._has_printed = False
        self._drawn_at = 0.0

    def write(self, text: str) -> None:
        """Take the next piece of the answer."""
        *complete, self._open = blocks_of(self._open + text)
        for block in complete:
            self._print(block)
        if self._open.strip() and time.monotonic() - self._drawn_at >= REDRAW_S:
            self._draw()

    def end(self) -> None:
        """Print what is left; the next piece begins a new answer."""
        for block in blocks_of(self._open):
            self._print(block)
        self._open, self._has_printed = "", False

    def _draw(self) -> None:
        """Show the end of the block that is still growing: what has scrolled away could not be drawn again."""
        self._drawn_at = time.monotonic()
        lines = self._console.render_lines(self._spaced(self._open), pad=False)
        shown = lines[-max(1, self._console.height - 1) :]
        self._replace(Segments([segment for line in shown for segment in (*line, Segment.line())]))
        self._drawn = shown

    def _print(self, text: str) -> None:
        if text.strip():
            self._replace(self._spaced(text))
            self._has_printed = True
        elif self._drawn:
            self._replace(Segments([]))

    def _replace(self, shown: RenderableType) -> None:
        """Print something in the place of what was drawn, in one write: a terminal shows nothing in between."""
        width, height = self._console.size
        # A terminal that became narrower has wrapped the lines.
        rows = sum(max(1, ceil(Segment.get_line_length(line) / width)) for line in self._drawn)
        up = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * min(rows, height - 1)
        self._console.print(Group(Control(ControlType.CARRIAGE_RETURN, *up), shown) if up else shown, end="")
        self._drawn = []

    def _spaced(self, text: str) -> RenderableType:
        block = MarkdownBlock(text)
        return Group("", block) if self._has_printed else block


def blocks_of(text: str) -> list[str]:
    """Divide a text into its blocks; the last one can still grow, and alone is the whole text."""
    tokens = [token for token in _PARSER.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    # Not splitlines(): the parser counts line feeds alone.
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    starts = [0, *(token.map[0] for token in tokens[1:] if token.map), len(lines)]
    return ["".join(lines[start:end]) for start, end in pairwise(starts)]
