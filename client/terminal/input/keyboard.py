"""What a person types: requests with history and several lines, and answers that no paste can give."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.completion import Completer
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from policy.verdicts.display import escape_display

PASTE_GAP_S = 0.02
"""Input that follows Enter within this time was not typed: it is a paste of a terminal without bracketed paste."""


MAX_SHOWN_LINES = 12
MAX_SHOWN_CHARS = 1_000


class Left(Exception):
    """The prompt was ended from another thread (`Keyboard.leavable`)."""


class Keyboard:
    """One terminal with one person at it."""

    def __init__(self, history: Path | None = None, bell_s: float = float("inf")) -> None:
        self._input = create_input()
        self._output = _output()
        self._app: Application[str] | None = None
        self._is_left = False
        self._bell_s = bell_s
        self._asked_at = time.monotonic()
        self._history: History = FileHistory(str(history)) if history else InMemoryHistory()

    def request(self, prompt: str, completer: Completer | None = None) -> str:
        """Read a request; a paste is one text, whatever its lines, Alt-Enter begins a new line, Tab completes."""
        session: PromptSession[str] = PromptSession(
            history=self._history,
            completer=completer,
            complete_while_typing=False,
            key_bindings=_request_keys(self._input),
            multiline=True,
            erase_when_done=True,
            input=self._input,
            output=self._output,
        )
        text = self._run(session, prompt, "ansigreen bold")
        # A request that is taller than the screen would leave its last rows alone.
        shown = FormattedText([("ansigreen bold", prompt), ("", f": {_shortened(text)}")])
        print_formatted_text(shown, output=self._output)
        return text

    def answer(self, prompt: str) -> str:
        """Read the answer to a question: one typed line. What is pasted is dropped."""
        session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(),
            key_bindings=_answer_keys(self._input),
            input=self._input,
            output=self._output,
        )
        return self._run(session, prompt, "bold")

    def text(self, prompt: str, default: str = "") -> str:
        """Let the person edit a text, of several lines if it has some; a paste is part of it."""
        session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(),
            key_bindings=_text_keys() if "\n" in default else _request_keys(self._input),
            multiline=True,
            input=self._input,
            output=self._output,
        )
        return self._run(session, prompt, "bold", default)

    @contextmanager
    def leavable(self) -> Iterator[Callable[[], None]]:
        """Yield what ends the prompts inside the block with Left, from any thread."""
        self._is_left = False
        try:
            yield self._leave
        finally:
            self._is_left = False

    def _leave(self) -> None:
        self._is_left = True
        app = self._app
        loop = app.loop if app is not None else None
        if app is not None and loop is not None:
            loop.call_soon_threadsafe(_leave, app)

    def _run(self, session: PromptSession[str], prompt: str, style: str, default: str = "") -> str:
        self._app = session.app
        is_drawn = False

        def drop_what_came_before(_: Application[str]) -> None:
            nonlocal is_drawn
            if not is_drawn:
                is_drawn = True
                _flush(self._input)

        if time.monotonic() - self._asked_at >= self._bell_s:
            # The person may be away from the window: terminals turn this into a notification.
            self._output.bell()
        clear_typeahead(self._input)
        session.app.before_render += drop_what_came_before
        try:
            return session.prompt(
                FormattedText([(style, prompt), ("", ": ")]),
                default=default,
                pre_run=lambda: _leave(session.app) if self._is_left else None,
            )
        finally:
            self._app = None
            self._asked_at = time.monotonic()


def _shortened(text: str) -> str:
    """A request as it stays on the screen: its first lines, indented, and what is missing."""
    visible = escape_display(text[:MAX_SHOWN_CHARS].replace("\t", "    "))
    lines = visible.split("\n")
    missing = max(0, len(text) - MAX_SHOWN_CHARS) + sum(len(line) + 1 for line in lines[MAX_SHOWN_LINES:])
    shown = "\n     ".join(lines[:MAX_SHOWN_LINES])
    return f"{shown}\n     … {missing} more characters" if missing else shown


def _leave(app: Application[str]) -> None:
    if not app.is_done:
        app.exit(exception=Left())


def _output() -> Output:
    if sys.platform == "win32":
        return create_output()
    made = Vt100_Output.from_pty(sys.stdout, default_color_depth=ColorDepth.from_env())
    # The answer to a question about the cursor's place would be read as typed.
    made.enable_cpr = False
    return made


def _flush(source: Input) -> None:
    """Throw away what was typed and not read yet."""
    if sys.platform == "win32":
        return
    import termios

    termios.tcflush(source.fileno(), termios.TCIFLUSH)


def _more_follows(source: Input, event: KeyPressEvent) -> bool:
    """Whether input stands behind the key that is handled, closer than a person types."""
    if event.app.key_processor.input_queue:
        return True
    return sys.platform != "win32" and bool(select.select([source.fileno()], [], [], PASTE_GAP_S)[0])


def _request_keys(source: Input) -> KeyBindings:
    keys = KeyBindings()

    @keys.add(Keys.ControlM)
    @keys.add(Keys.ControlJ)
    def _enter(event: KeyPressEvent) -> None:
        if _more_follows(source, event):
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @keys.add(Keys.Escape, Keys.ControlM)
    @keys.add(Keys.Escape, Keys.ControlJ)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _answer_keys(source: Input) -> KeyBindings:
    keys = KeyBindings()

    @keys.add(Keys.ControlM)
    @keys.add(Keys.ControlJ)
    def _enter(event: KeyPressEvent) -> None:
        if _more_follows(source, event):
            refuse(event)
        else:
            event.current_buffer.validate_and_handle()

    @keys.add(Keys.BracketedPaste)
    def refuse(event: KeyPressEvent) -> None:
        """Drop the paste with all that stands behind it."""
        event.current_buffer.reset()
        event.app.key_processor.empty_queue()
        _flush(source)
        run_in_terminal(lambda: print("A paste decides nothing; please type the answer."))

    return keys


def _text_keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add(Keys.Escape, Keys.ControlM)
    @keys.add(Keys.Escape, Keys.ControlJ)
    def _accept(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys
