"""Markdown as it streams: blocks that are complete are printed, the last one is drawn again until it is."""

from __future__ import annotations

import time
from itertools import pairwise

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment

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
        self._live: Live | None = None
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
        self._drawn_at = time.monotonic()
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._spaced(self._open), refresh=True)

    def _print(self, text: str) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if text.strip():
            self._console.print(self._spaced(text))
            self._has_printed = True

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
