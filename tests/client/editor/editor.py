"""An editor for tests: the SDK's own client, which keeps what it is sent and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from acp import Agent, RequestError, connect_to_agent
from acp.agent.connection import AgentSideConnection
from acp.client.connection import ClientSideConnection
from acp.connection import StreamDirection, StreamEvent
from acp.schema import (
    AcceptElicitationResponse,
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    ElicitationCapabilities,
    ElicitationFormCapabilities,
    FileSystemCapabilities,
    ReadTextFileResponse,
    RequestPermissionResponse,
    TextContentBlock,
    WriteTextFileResponse,
)

from client.editor.agent import EditorAgent
from client.editor.servers import Servers

DEADLINE_S = 60.0
Frame = dict[str, Any]
ALL = ClientCapabilities(
    fs=FileSystemCapabilities(read_text_file=True, write_text_file=True),
    elicitation=ElicitationCapabilities(form=ElicitationFormCapabilities()),
)


class Editor:
    """The client's side of a connection."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, Frame]] = []
        """(in or out, message) in the order of the wire; `in` came from the agent."""
        self.choose: Callable[[Frame], str | None] = lambda _: "approve"
        """Answers a permission request with an option id; None waits until the request is withdrawn."""
        self.form: dict[str, Any] = {}
        self.malformed: dict[str, Any] = {}
        """Answers of another form than the protocol's, by method."""
        self.buffers: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.asked = asyncio.Event()
        self.agent: ClientSideConnection
        self._arrived = asyncio.Condition()

    async def request_permission(self, **_: Any) -> Any:
        if "request_permission" in self.malformed:
            return self.malformed["request_permission"]
        request = self.requests("session/request_permission")[-1]
        self.asked.set()
        chosen = self.choose(request)
        if chosen is None:
            await asyncio.sleep(DEADLINE_S)
        if chosen == "cancelled":
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(option_id=str(chosen), outcome="selected"))

    async def session_update(self, **_: Any) -> None:
        """The frames are kept by the observer."""

    async def create_elicitation(self, *_: Any, **__: Any) -> Any:
        if "create_elicitation" in self.malformed:
            return self.malformed["create_elicitation"]
        return AcceptElicitationResponse(action="accept", content=self.form)

    async def read_text_file(self, path: str, **_: Any) -> Any:
        if "read_text_file" in self.malformed:
            return self.malformed["read_text_file"]
        if path in self.buffers:
            return ReadTextFileResponse(content=self.buffers[path])
        try:
            return ReadTextFileResponse(content=await asyncio.to_thread(Path(path).read_text, "utf-8"))
        except FileNotFoundError:
            raise RequestError.resource_not_found(path) from None

    async def write_text_file(self, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        self.written[path] = content
        await asyncio.to_thread(Path(path).write_text, content, "utf-8")
        self.buffers.pop(path, None)
        return WriteTextFileResponse()

    def observe(self, event: StreamEvent) -> None:
        self.frames.append(("in" if event.direction is StreamDirection.INCOMING else "out", event.message))

    def requests(self, method: str) -> list[Frame]:
        """The parameters of the agent's requests and notifications of a method."""
        return [frame["params"] for way, frame in self.frames if way == "in" and frame.get("method") == method]

    def updates(self, kind: str | None = None, session: str | None = None) -> list[Frame]:
        """The updates of a kind, in order."""
        sent = self.requests("session/update")
        found = [params["update"] for params in sent if session in (None, params["sessionId"])]
        return [update for update in found if kind in (None, update["sessionUpdate"])]

    def text(self, session: str | None = None) -> str:
        """What the agent said."""
        return "".join(update["content"]["text"] for update in self.updates("agent_message_chunk", session))

    async def wait_for(self, holds: Callable[[], Any]) -> Any:
        """Wait until something is true of what arrived."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while not (found := holds()):
            assert asyncio.get_running_loop().time() < deadline, [frame for _, frame in self.frames][-10:]
            await asyncio.sleep(0.01)
        return found

    async def begin(self, cwd: Path, capabilities: ClientCapabilities | None = None) -> str:
        """Initialize and begin a session; its id."""
        await self.agent.initialize(1, client_capabilities=capabilities or ClientCapabilities())
        return (await self.agent.new_session(str(cwd))).session_id

    async def says(self, session: str, *replies: Frame) -> str:
        """Have the scripted model answer one prompt with these replies; the stop reason."""
        return await self.prompt(session, "#script\n" + json.dumps(replies))

    async def prompt(self, session: str, text: str) -> str:
        done = await self.agent.prompt(session, [TextContentBlock(type="text", text=text)])
        return done.stop_reason


@asynccontextmanager
async def in_process(servers: Servers) -> AsyncIterator[Editor]:
    """An editor and an agent in this process, joined by a pair of sockets."""
    ours, theirs = socket.socketpair()
    our_reader, our_writer = await asyncio.open_connection(sock=ours)
    their_reader, their_writer = await asyncio.open_connection(sock=theirs)
    editor, agent = Editor(), EditorAgent(servers)
    served = AgentSideConnection(cast(Agent, agent), their_writer, their_reader, use_unstable_protocol=True)
    editor.agent = connect_to_agent(
        cast(Any, editor), our_writer, our_reader, use_unstable_protocol=True, observers=[editor.observe]
    )
    try:
        async with asyncio.timeout(120):
            yield editor
    finally:
        agent.close()
        await editor.agent.close()
        await served.close()
        for writer in (our_writer, their_writer):
            writer.close()
