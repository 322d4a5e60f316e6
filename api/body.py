"""Large bodies are parsed by a process of their own: `api.parser_process`."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Any

from api import parser_process
from api.parser_process import HEAD
from json_text import Unreadable

PARSE_S = 10.0
"""A process that needs longer for one body is ended, and the body refused."""


class BodyParser:
    """Parses large bodies; its process is started for the first one, and again when it has died."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def parse(self, body: bytes) -> Any:
        """Return the value of a body; raises Unreadable."""
        async with self._turn:
            try:
                async with asyncio.timeout(PARSE_S):
                    is_value, answer = await self._ask(body)
            except TimeoutError as error:
                raise Unreadable("The body takes too long to read") from error
            except (OSError, asyncio.IncompleteReadError) as error:
                raise Unreadable("The body could not be read; send it again") from error
        if not is_value:
            raise Unreadable(answer.decode())
        return marshal.loads(answer)  # noqa: S302 written by a process of ours

    async def _ask(self, body: bytes) -> tuple[bool, bytes]:
        """Hand a body to the process; on any failure the process is ended: its answer would come to the next body."""
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(Path(parser_process.__file__)), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
            )
        assert process.stdin is not None, "opened as a pipe"
        assert process.stdout is not None, "opened as a pipe"
        try:
            process.stdin.write(HEAD.pack(False, len(body)))
            process.stdin.write(body)
            await process.stdin.drain()
            is_value, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            return is_value, await process.stdout.readexactly(size)
        except BaseException:
            await asyncio.shield(self.close())
            raise

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
