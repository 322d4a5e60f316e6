"""A person at a terminal: `agent-runtime` on a pseudo-terminal, with waiting for text and typing."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.client.preloaded import Forked

COMMAND = str(Path(sys.executable).parent / "agent-runtime")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
_TITLES = re.compile(rb"\x1b\][^\a]*\a")
DEADLINE_S = 100.0


class Person:
    """Reads what is on the screen and types lines."""

    def __init__(self, process: Forked, terminal: int) -> None:
        self._process = process
        self._terminal = terminal
        self._raw = b""
        self._seen = 0

    @property
    def screen(self) -> str:
        return _ESCAPES.sub("", self._raw.decode("utf-8", "replace"))

    @property
    def has_rung(self) -> bool:
        """Whether a bell came before the last text that was waited for."""
        return b"\a" in _TITLES.sub(b"", self._raw)

    def wait_for(self, text: str) -> None:
        """Read until a text appears after what was waited for before."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := self.screen.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not appear on this screen:\n{self.screen}"
            assert self._read(0.1), f"the command ended before {text!r} appeared:\n{self.screen}"
        self._seen = found + len(text)

    def type(self, line: str) -> None:
        os.write(self._terminal, line.encode() + b"\n")

    def send(self, text: str) -> None:
        """Write to the terminal as it is: pastes, escape sequences, keys without Enter."""
        os.write(self._terminal, text.encode())

    def press_control_c(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def press_control_d(self) -> None:
        os.write(self._terminal, b"\x04")

    def leave(self) -> int:
        """Wait for the end of the command and give its exit status."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(0.1):
            assert time.monotonic() < deadline, f"the command does not end:\n{self.screen}"
        return self._process.wait(DEADLINE_S)

    def _read(self, timeout_s: float) -> bool:
        """Take what is there; False when the terminal is closed."""
        if not select.select([self._terminal], [], [], timeout_s)[0]:
            return self._process.poll() is None
        try:
            block = os.read(self._terminal, 65536)
        except OSError:  # Linux says so when the other end is gone
            return False
        self._raw += block
        return bool(block)


@contextmanager
def at_terminal(*arguments: str, environment: Mapping[str, str] | None = None, columns: int = 100) -> Iterator[Person]:
    """Start `agent-runtime` with these arguments on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    settings = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"} | dict(environment or {})
    base = {name: value for name, value in os.environ.items() if name not in ("EDITOR", "VISUAL")}
    process = Forked(arguments, [theirs, theirs, theirs], env=base | settings, new_session=True)
    os.close(theirs)
    try:
        yield Person(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
