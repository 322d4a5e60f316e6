"""One session in an editor: its prompts one after the other, each carried by a thread, and their cancelling."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from acp.schema import StopReason

from client.configuration import workspace_folder
from client.editor.agents import AgentChoice
from client.editor.channel import Channel, EditorBuffers
from client.editor.commands import SlashCommands
from client.editor.updates import Transcript
from client.editor.view import EditorDecider, EditorView
from client.own_server import Address
from client.session import ServerRefused, Session
from client.session_index import Place
from client.time_limit import TimeLimit
from client.turn_loop import TurnLoop
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.journal.journal import Journal
from client.workspace.project.instructions import ProjectInstructions
from client.workspace.project.rules import ProjectRules
from client.workspace.sandbox.confinement import Confinement
from errors import AgentRuntimeError

CANCEL_REPEAT_S = 0.2
NO_SANDBOX = "No sandbox works on this machine: a command that runs can do what you can do (docs/terminal-client.md)."
_log = logging.getLogger(__name__)
Result = TypeVar("Result")


class _Prompt:
    """One prompt that waits or is carried."""

    is_cancelled = False


class Conversation:
    """A session and all that carries its turns."""

    def __init__(
        self,
        channel: Channel,
        address: Address,
        place: Place,
        workspace: Workspace,
        choice: AgentChoice,
        confinement: Confinement,
        context_tokens: int,
    ) -> None:
        self.channel = channel
        self.place = place
        self.choice = choice
        self.workspace = workspace
        workspace.buffers = EditorBuffers(channel)
        journal = workspace.journal = Journal(workspace_folder(workspace.root))
        self.transcript = Transcript(choice, lists_suggestions=not channel.asks_forms)
        self.session = Session(address.url, address.key, TimeLimit(float("inf")), channel.session_id, client="editor")
        self._notes: list[str] = []
        view = EditorView(channel, self.transcript, workspace, context_tokens)
        rules = ProjectRules.read(workspace)
        if confinement.boundary.kind == "none":
            self._notes.append(NO_SANDBOX)
        self._notes += rules.notes
        instructions = ProjectInstructions(workspace, self._notes.append)
        self._executor = WorkspaceExecutor(workspace, confinement, rules, instructions)
        decider = EditorDecider(channel, view, self.transcript)
        self.loop = TurnLoop(self.session, decider, view, self._executor)
        self._commands = SlashCommands(self.session, self.loop, workspace, journal)
        self._turn = asyncio.Lock()
        self._cancelling = asyncio.Lock()
        self._prompts: set[_Prompt] = set()
        self._carried: _Prompt | None = None
        self._carrying = threading.Lock()
        self._is_closed = False

    def note(self, sentence: str) -> None:
        """Say something with the next turn: outside of one an editor shows nothing."""
        self._notes.append(sentence)

    async def prompt(self, text: str, note: Callable[[], None]) -> StopReason:
        """Carry one prompt to its end; a second one waits for the first. `note` keeps it before it is carried.

        Nothing is awaited before its turn is: prompts are carried in the order in which they came.
        """
        prompt = _Prompt()
        self._prompts.add(prompt)
        try:
            async with self._turn:
                # A cancel that is on its way means an earlier prompt.
                async with self._cancelling:
                    self._carried = prompt
                    self.loop.expect_task()
                if prompt.is_cancelled:
                    return "cancelled"
                await in_thread(note)
                return await in_thread(lambda: self._carry_whole(prompt, text))
        finally:
            self._prompts.discard(prompt)

    def _carry_whole(self, prompt: _Prompt, text: str) -> StopReason:
        with self._carrying:
            try:
                return self._carry(prompt, text)
            finally:
                if self._is_closed:
                    self.session.close()

    def _carry(self, prompt: _Prompt, text: str) -> StopReason:
        """Run in a thread of its own; what goes wrong is a message, because an error would lose the turn."""
        self.transcript.begin_turn()
        try:
            while self._notes:
                self.channel.update(self.transcript.note(self._notes.pop(0)))
            said = self._commands.run(text)
            if said is not None:
                self.channel.update(self.transcript.answer(said))
                return "end_turn"
            outcome = self.loop.take_up() if self._commands.asks_pending(text) else self.loop.run_task(text)
            if outcome is None:
                self.channel.update(self.transcript.answer("Nothing waits for a decision in this session."))
        except AgentRuntimeError as error:
            if isinstance(error, ServerRefused) and error.status_code == 401:
                raise
            outcome = "cancelled" if prompt.is_cancelled else "failed"
            if not prompt.is_cancelled:
                self.channel.update(self.transcript.answer(f"**Error:** {error.message}"))
        if outcome == "cancelled" or prompt.is_cancelled:
            return "cancelled"
        return "max_turn_requests" if self.transcript.error_code == "limit_reached" else "end_turn"

    async def cancel(self) -> None:
        """Cancel the prompts of this session, the waiting ones too, and return when they have ended."""
        prompts = set(self._prompts)
        for prompt in prompts:
            prompt.is_cancelled = True
        while prompts & self._prompts:
            async with self._cancelling:
                if self._carried in prompts:
                    await self._cancel_carried()
            # A command or a run that begins at the same moment is reached by the repetition.
            await asyncio.sleep(CANCEL_REPEAT_S)

    async def _cancel_carried(self) -> None:
        try:
            await in_thread(self.loop.cancel)
        except AgentRuntimeError:
            _log.warning("the run could not be cancelled", exc_info=True, extra={"session": self.session.id})

    def close(self) -> None:
        """End a command that runs and close the connections; what the server still does goes on there."""
        self._is_closed = True
        self._executor.stop()
        # The thread of a turn closes what it still uses.
        if self._carrying.acquire(blocking=False):
            self.session.close()
            self._carrying.release()


async def in_thread(work: Callable[[], Result]) -> Result:
    """Await work in a daemon thread: one that waits for a person must not keep the process from its end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Result] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if ended.cancelled():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)

    def run() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 handed to the coroutine that waits
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="editor", daemon=True).start()
    return await ended
