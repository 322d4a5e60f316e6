"""The agent of the Agent Client Protocol, version 1: the methods that an editor calls."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from acp import PROTOCOL_VERSION, RequestError
from acp.interfaces import Client
from acp.schema import (
    AgentCapabilities,
    AuthenticateResponse,
    AuthEnvVar,
    ClientCapabilities,
    CloseSessionResponse,
    EnvVarAuthMethod,
    Implementation,
    InitializeResponse,
    ListSessionsResponse,
    LoadSessionResponse,
    McpCapabilities,
    NewSessionResponse,
    PromptCapabilities,
    PromptResponse,
    ResumeSessionResponse,
    SessionCapabilities,
    SessionCloseCapabilities,
    SessionInfo,
    SessionListCapabilities,
    SessionResumeCapabilities,
    SetSessionConfigOptionResponse,
    SetSessionModeResponse,
)

from client.editor.agents import OPTION_ID
from client.editor.commands import available_commands
from client.editor.conversation import Conversation, in_thread
from client.editor.prompt import Block, text_of
from client.editor.servers import Servers
from client.editor.table import Editor, SessionTable, workspace_at
from client.session import ServerRefused
from errors import AgentRuntimeError, BadRequest

PAGE = 50
KEY_METHOD = "key"
KEY_VARIABLE = "AGENT_RUNTIME__INTERNAL_API_KEY"
_log = logging.getLogger(__name__)
Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])


def worded(method: Method) -> Method:
    """Word what goes wrong: an error of the protocol says one sentence and shows no path of this machine."""

    @functools.wraps(method)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            return await method(*arguments, **named)
        except ServerRefused as refusal:
            if refusal.status_code == 401:
                raise RequestError(-32000, refusal.message) from refusal
            raise RequestError(-32602, refusal.message) from refusal
        except AgentRuntimeError as error:
            raise RequestError(-32602, error.message) from error
        except RequestError:
            raise
        except Exception as error:
            _log.exception("a request of the editor failed", extra={"action": method.__name__})
            raise RequestError(-32603, "Internal error: the log of the agent has the details.") from error

    return wrapped  # type: ignore[return-value] # the same signature


class EditorAgent:
    """Serves one connection; a session is known here after `session/new`, `session/load` or `session/resume`.

    What a request carries in `_meta` arrives as further named arguments and is not read.
    """

    def __init__(self, servers: Servers, *, network: bool = True) -> None:
        self._servers = servers
        self._table = SessionTable(servers, network=network)
        self._capabilities: ClientCapabilities | None = None
        self._client: Client | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on_connect(self, conn: Client) -> None:
        """Take the connection over which the editor is asked."""
        self._client = conn

    @worded
    async def initialize(
        self,
        protocol_version: int,  # noqa: ARG002 the answer names the only version there is
        client_capabilities: ClientCapabilities | None = None,
        **_: Any,
    ) -> InitializeResponse:
        """Answer at once; the imports of an own server begin in a thread."""
        self._capabilities = client_capabilities
        if self._servers.starts_own:
            threading.Thread(target=importlib.import_module, args=("server",), daemon=True).start()
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(
                load_session=True,
                prompt_capabilities=PromptCapabilities(image=False, audio=False, embedded_context=True),
                mcp_capabilities=McpCapabilities(http=False, sse=False),
                session_capabilities=SessionCapabilities(
                    list=SessionListCapabilities(),
                    resume=SessionResumeCapabilities(),
                    close=SessionCloseCapabilities(),
                ),
            ),
            auth_methods=[_key_method()] if self._servers.key_is_missing else [],
            agent_info=Implementation(
                name="codelab-agent-runtime", title="CodeLab agent runtime", version=version("codelab-agent-runtime")
            ),
        )

    @worded
    async def authenticate(self, method_id: str, **_: Any) -> AuthenticateResponse:
        """The key is in the environment of this process, so an editor sets it and starts the process again."""
        if method_id != KEY_METHOD:
            raise BadRequest(f"There is no authentication method '{method_id}'.")
        self._check_key()
        return AuthenticateResponse()

    @worded
    async def new_session(self, cwd: str, mcp_servers: Sequence[Any] | None = None, **_: Any) -> NewSessionResponse:
        """Create a session whose tools act in `cwd`."""
        editor = self._editor()
        opened = await in_thread(lambda: self._table.begin(cwd, editor))
        self._welcome(opened, mcp_servers)
        choice = opened.choice
        return NewSessionResponse(session_id=opened.session.id, modes=choice.modes(), config_options=choice.options())

    @worded
    async def load_session(
        self, cwd: str, session_id: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> LoadSessionResponse:
        """Show an earlier session again, with its calls and results."""
        opened = await self._reopen(session_id, cwd)
        await in_thread(lambda: self._table.replay(opened))
        self._welcome(opened, mcp_servers)
        return LoadSessionResponse(modes=opened.choice.modes(), config_options=opened.choice.options())

    @worded
    async def resume_session(
        self, session_id: str, cwd: str, mcp_servers: Sequence[Any] | None = None, **_: Any
    ) -> ResumeSessionResponse:
        """Go on with an earlier session that the editor shows already."""
        opened = await self._reopen(session_id, cwd)
        self._welcome(opened, mcp_servers)
        return ResumeSessionResponse(modes=opened.choice.modes(), config_options=opened.choice.options())

    @worded
    async def list_sessions(self, cwd: str | None = None, cursor: str | None = None, **_: Any) -> ListSessionsResponse:
        """List the sessions that this user's clients began, the newest first."""
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
            raise BadRequest("The cursor is not one of this list.")
        start = int(cursor or 0)
        folder = workspace_at(cwd).root if cwd is not None else None
        places = await in_thread(lambda: self._servers.sessions(folder))
        rows = [
            SessionInfo(
                session_id=place.session, cwd=place.workspace or str(folder), title=place.title, updated_at=place.at
            )
            for place in places[start : start + PAGE]
        ]
        more = len(places) > start + PAGE
        return ListSessionsResponse(sessions=rows, next_cursor=str(start + PAGE) if more else None)

    @worded
    async def close_session(self, session_id: str, **_: Any) -> CloseSessionResponse:
        """Cancel what the session does and forget it here; its history stays."""
        await self._table.known(session_id).cancel()
        self._table.forget(session_id)
        return CloseSessionResponse()

    @worded
    async def set_session_mode(self, session_id: str, mode_id: str, **_: Any) -> SetSessionModeResponse:
        """Choose the agent that answers."""
        await self._switch(session_id, mode_id)
        return SetSessionModeResponse()

    @worded
    async def set_config_option(
        self, config_id: str, session_id: str, value: str | bool, **_: Any
    ) -> SetSessionConfigOptionResponse:
        """Choose the agent that answers, in the form that follows modes."""
        if config_id != OPTION_ID or not isinstance(value, str):
            raise BadRequest(f"There is no option '{config_id}' with such a value.")
        opened = await self._switch(session_id, value)
        return SetSessionConfigOptionResponse(config_options=opened.choice.options())

    @worded
    async def prompt(self, session_id: str, prompt: list[Block], **_: Any) -> PromptResponse:
        """Carry one prompt to its end; the response comes after the last update."""
        opened = self._table.known(session_id)
        text = text_of(prompt)
        return PromptResponse(stop_reason=await opened.prompt(text, lambda: self._table.note_request(opened, text)))

    @worded
    async def cancel(self, session_id: str, **_: Any) -> None:
        """Cancel the prompts of a session: each of them answers `cancelled`."""
        await self._table.known(session_id).cancel()

    def close(self) -> None:
        """Close the sessions when the editor is gone."""
        self._table.close()

    def _check_key(self) -> None:
        if self._servers.key_is_missing:
            raise RequestError(-32000, f"The server needs a key: set {KEY_VARIABLE} in the agent's environment.")

    def _editor(self) -> Editor:
        self._check_key()
        if self._client is None:
            raise BadRequest("There is no connection to an editor.")
        return Editor(self._client, self._capabilities, asyncio.get_running_loop())

    async def _reopen(self, session_id: str, cwd: str) -> Conversation:
        editor = self._editor()
        return await in_thread(lambda: self._table.reopen(session_id, cwd, editor))

    async def _switch(self, session_id: str, agent: str) -> Conversation:
        opened = self._table.known(session_id)
        if agent not in opened.choice.names:
            raise BadRequest(f"There is no agent '{agent}'; the agents are {', '.join(opened.choice.names)}.")
        if agent != opened.choice.current:
            await in_thread(lambda: opened.session.post(f"/agents/{session_id}/switch", {"target_agent": agent}))
            self._after_response(opened, *opened.choice.switched(agent))
        return opened

    def _welcome(self, opened: Conversation, mcp_servers: Sequence[Any] | None) -> None:
        if mcp_servers:
            opened.note("The MCP servers of the editor are not used: this agent has its own tools.")
        self._after_response(opened, available_commands(), *opened.choice.switched(opened.choice.current))

    def _after_response(self, opened: Conversation, *updates: Any) -> None:
        """Send updates behind the response that is being made: some editors hang on one that comes before it.

        The response is put into the sender's queue before the event loop runs anything else.
        """

        async def send() -> None:
            for update in updates:
                await opened.channel.client.session_update(opened.session.id, update)

        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: self._keep(loop.create_task(send())))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _key_method() -> EnvVarAuthMethod:
    return EnvVarAuthMethod(
        id=KEY_METHOD,
        type="env_var",
        name="Key of the server",
        vars=[AuthEnvVar(name=KEY_VARIABLE, label="Key", secret=True)],
    )
