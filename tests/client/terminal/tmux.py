"""A terminal of tmux: a real screen of any size, keys and pastes as a terminal sends them."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "agent-runtime")
DEADLINE_S = 100.0
_DROPPED = ("EDITOR", "VISUAL", "TMUX", "TMUX_PANE", "NO_COLOR", "COLUMNS", "LINES")


class Window:
    """One window with one command in it."""

    def __init__(self, server: str) -> None:
        self._server = server

    def keys(self, *names: str) -> None:
        """Press keys by their names in tmux, such as `Enter`, `M-Enter`, `C-c`, `Left`."""
        self._tmux("send-keys", *names)

    def type(self, text: str, *keys: str) -> None:
        """Type a text, then press keys."""
        self._tmux("send-keys", "-l", text)
        if keys:
            self.keys(*keys)

    def paste(self, text: str) -> None:
        """Paste as a terminal does that marks pastes."""
        self._tmux("load-buffer", "-b", "text", "-", typed=text)
        self._tmux("paste-buffer", "-p", "-d", "-b", "text")

    def resize(self, columns: int) -> None:
        """Make the window wider or narrower, and wait until the program in it can know: tmux tells it later."""
        self._tmux("resize-window", "-x", str(columns))
        deadline = time.monotonic() + DEADLINE_S
        with open(self._tmux("display-message", "-p", "#{pane_tty}").strip()) as terminal:
            while os.get_terminal_size(terminal.fileno()).columns != columns:
                assert time.monotonic() < deadline, f"the window does not become {columns} columns wide"
                time.sleep(0.05)

    def screen(self, *, coloured: bool = False) -> str:
        """What the window shows, with what has scrolled away."""
        return self._tmux("capture-pane", "-p", "-S", "-", *(["-e"] if coloured else []))

    def wait_for(self, text: str, times: int = 1) -> str:
        """Wait until a text stands on the screen so often; the screen."""
        deadline = time.monotonic() + DEADLINE_S
        while (screen := self.screen()).count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} did not appear {times} times:\n{screen}"
            time.sleep(0.05)
        return screen

    def _tmux(self, *arguments: str, typed: str = "") -> str:
        done = subprocess.run(
            ["tmux", "-L", self._server, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout


@contextmanager
def window(
    *arguments: str, columns: int = 100, rows: int = 40, environment: Mapping[str, str] | None = None
) -> Iterator[Window]:
    """Run `agent-runtime` with these arguments in a window of its own; what it left is there until the block ends."""
    server = f"test-{secrets.token_hex(6)}"
    base = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    command = shlex.join([COMMAND, *arguments]) + "; sleep 1000"
    start = ["tmux", "-L", server, "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), command]
    subprocess.run(start, check=True, env=base | {"LC_ALL": "C.UTF-8"} | dict(environment or {}), timeout=20)
    try:
        yield Window(server)
    finally:
        subprocess.run(["tmux", "-L", server, "kill-server"], check=False, capture_output=True, timeout=20)
