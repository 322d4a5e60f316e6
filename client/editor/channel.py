"""The connection to the editor, for the thread that carries a turn: updates in order, questions with their answers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from acp import RequestError
from acp.interfaces import Client
from acp.schema import ClientCapabilities, UsageUpdate
from pydantic import ValidationError

from client.editor.updates import Update

ANSWER_S = 10.0
"""How long an editor may take to read or write a file; a person's answer has no limit."""
_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Channel:
    """One session's side of the connection; its methods are for other threads than the connection's own."""

    def __init__(
        self, client: Client, capabilities: ClientCapabilities | None, session_id: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.client = client
        self.session_id = session_id
        self._loop = loop
        self._capabilities = capabilities or ClientCapabilities()

    @property
    def asks_forms(self) -> bool:
        """Whether the editor can ask with a form (elicitation)."""
        elicitation = self._capabilities.elicitation
        return elicitation is not None and elicitation.form is not None

    @property
    def reads_files(self) -> bool:
        """Whether the editor gives the text of its files."""
        return bool(self._capabilities.fs and self._capabilities.fs.read_text_file)

    @property
    def writes_files(self) -> bool:
        """Whether the editor writes files."""
        return bool(self._capabilities.fs and self._capabilities.fs.write_text_file)

    def update(self, update: Update | UsageUpdate) -> None:
        """Send one update and wait until it is written: the next one, and the end of the turn, come after it."""
        self.ask(self.client.session_update(self.session_id, update)).result()

    def ask(self, request: Coroutine[Any, Any, Answer]) -> concurrent.futures.Future[Answer]:
        """Send a request; the future can be cancelled, and then an answer that still comes is dropped.

        An answer that has not the form of the protocol is a RequestError, like an error that the editor sends.
        """
        return asyncio.run_coroutine_threadsafe(_checked(request), self._loop)


async def _checked(request: Coroutine[Any, Any, Answer]) -> Answer:
    try:
        return await request
    except ValidationError as error:
        _log.warning("the editor's answer is malformed: %s", error, extra={"action": "editor_answer"})
        raise RequestError(-32603, "its answer has not the form of the protocol") from error


class EditorBuffers:
    """The files of the editor (see Buffers), asked for by its file methods."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def read(self, file: Path) -> str | None:
        """Return the editor's text of a file; None where the editor has none or does not offer its files."""
        if not self._channel.reads_files:
            return None
        reply = self._answer(self._channel.client.read_text_file(self._channel.session_id, str(file)))
        return None if reply is None else reply.content

    def write(self, file: Path, text: str) -> bool:
        """Let the editor write a file; False where it does not offer that. Raises OSError when it fails."""
        if not self._channel.writes_files:
            return False
        asked = self._channel.ask(self._channel.client.write_text_file(self._channel.session_id, str(file), text))
        try:
            asked.result(ANSWER_S)
        except RequestError as error:
            raise OSError(f"the editor did not write it: {error}") from error
        except TimeoutError as error:
            asked.cancel()
            raise OSError("the editor did not write it in time") from error
        return True

    def _answer(self, request: Coroutine[Any, Any, Answer]) -> Answer | None:
        """Wait for a reply; a file that the editor does not know is read from the disk."""
        asked = self._channel.ask(request)
        try:
            return asked.result(ANSWER_S)
        except RequestError:
            return None
        except TimeoutError:
            asked.cancel()
            _log.warning("the editor did not answer a read in time", extra={"action": "editor_read"})
            return None
