"""The circuit breaker of one model endpoint: left alone after failures in a row, then asked by one call at a time.

Own code: the libraries for asyncio let every waiting call through when they half-open, count cancelled calls as
failures, or are no longer maintained; this is what remains of the pattern once both are right.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from errors import ModelUnavailable
from llm.failure import Failure

State = Literal["closed", "open", "half_open"]
PROBE_WAIT_S = 1.0
"""When a call may come again that met the probe of another one."""
_log = logging.getLogger(__name__)


class Breaker:
    """Counts the failures in a row of one endpoint, over all calls of the process, in one event loop."""

    def __init__(self, failures: int = 10, pause_s: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failed = 0
        self._open_until: float | None = None
        self._is_probing = False

    @property
    def state(self) -> State:
        """Return `closed`, `open` while calls are refused, or `half_open` when the next call is the probe."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    @property
    def wait_s(self) -> float:
        """Return how long calls are still refused, in seconds; 0 when the next one is let through."""
        if self._open_until is None:
            return 0.0
        return max(self._open_until - self._clock(), PROBE_WAIT_S if self._is_probing else 0.0)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count how the attempt inside ends; raises `Failure` at once while the endpoint is left alone.

        Every answer of the server, a refusal too, closes the breaker. A cancelled attempt says nothing.
        """
        if self.wait_s:
            raise left_alone(self.wait_s)
        is_probe = self._is_probing = self.state == "half_open"
        try:
            yield
        except Failure as failure:
            if failure.is_outage:
                self._count()
            else:
                self._close()
            raise
        else:
            self._close()
        finally:
            if is_probe:
                self._is_probing = False

    def reset(self) -> None:
        """Forget what was counted."""
        self._failed, self._open_until, self._is_probing = 0, None, False

    def _count(self) -> None:
        self._failed += 1
        was = self.state
        if self._limit and (was == "half_open" or (was == "closed" and self._failed >= self._limit)):
            self._open_until = self._clock() + self._pause_s
            fields = {"action": "breaker_open", "failures": self._failed, "seconds": self._pause_s}
            _log.error("the model server is left alone", extra=fields)

    def _close(self) -> None:
        self._failed = 0
        if self._open_until is not None:
            self._open_until = None
            _log.info("the model server answers again", extra={"action": "breaker_closed"})


def left_alone(wait_s: float) -> Failure:
    """Return the failure of a call that was not made, with the time to wait."""
    sentence = f"The language model is not answering. Please try again in {max(1, round(wait_s))} s."
    return Failure(ModelUnavailable(sentence, reason="breaker open"), again=False, retry_after_s=wait_s, outage=True)
