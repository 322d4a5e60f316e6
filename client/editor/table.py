"""The sessions that are open in an editor: begun, taken up again and shown again."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from acp import RequestError
from acp.interfaces import Client
from acp.schema import ClientCapabilities

from client.configuration import workspace_folder
from client.editor.agents import AgentChoice
from client.editor.channel import Channel
from client.editor.commands import CONTINUE
from client.editor.conversation import Conversation
from client.editor.replay import replay
from client.editor.servers import Servers
from client.session import ServerRefused, Session
from client.session_index import Place, SessionIndex
from client.time_limit import TimeLimit
from client.workspace.folder import Workspace
from client.workspace.sandbox.choice import find_boundary
from client.workspace.sandbox.confinement import Confinement
from errors import BadRequest

_REQUEST_S = 60.0


@dataclass(frozen=True)
class Editor:
    """The editor at the other end of the connection."""

    client: Client
    capabilities: ClientCapabilities | None
    loop: asyncio.AbstractEventLoop


def workspace_at(cwd: str) -> Workspace:
    """The folder of a session; raises BadRequest for what is none."""
    path = Path(cwd)
    if not path.is_absolute() or not path.is_dir():
        raise BadRequest("cwd must be the absolute path of a folder.")
    return Workspace(path)


class SessionTable:
    """Opens sessions; except for `known`, its methods block and are called in threads of their own."""

    def __init__(self, servers: Servers, *, network: bool) -> None:
        self._servers = servers
        self._network = network
        self._open: dict[str, Conversation] = {}

    def known(self, session_id: str) -> Conversation:
        """A session of this connection; raises RequestError for another one."""
        if session_id not in self._open:
            raise RequestError.resource_not_found(session_id)
        return self._open[session_id]

    def begin(self, cwd: str, editor: Editor) -> Conversation:
        """Create a session whose tools act in `cwd`."""
        workspace = workspace_at(cwd)
        place = replace(
            self._servers.place_for_new(workspace.root), session=str(uuid4()), workspace=str(workspace.root)
        )
        with self._asking(place) as session:
            session.post("/sessions", {"session_id": place.session})
            return self._add(place, workspace, session, editor)

    def reopen(self, session_id: str, cwd: str, editor: Editor) -> Conversation:
        """Take up a session of an earlier day; raises RequestError for one that is not known."""
        workspace = workspace_at(cwd)
        found = self._servers.find(session_id, workspace.root)
        if found is None:
            raise RequestError.resource_not_found(session_id)
        place = replace(found, workspace=str(workspace.root))
        with self._asking(place) as session:
            try:
                session.get(f"/sessions/{session_id}")
            except ServerRefused as refusal:
                if refusal.status_code == 404:
                    raise RequestError.resource_not_found(session_id) from refusal
                raise
            if session_id in self._open:
                self._open.pop(session_id).close()
            conversation = self._add(place, workspace, session, editor)
        conversation.session.catch_up()
        return conversation

    def replay(self, conversation: Conversation) -> None:
        """Show what was said and done, and say what still waits: outside of a turn nothing can be asked."""
        path = f"/sessions/{conversation.session.id}"
        history = conversation.session.get(f"{path}/history")
        for update in replay(history, conversation.workspace, conversation.transcript):
            conversation.channel.update(update)
        pending = conversation.session.get(f"{path}/pending-approvals").get("pending_approvals") or []
        if pending:
            what = ", ".join(str(row.get("subject") or row.get("tool_name")) for row in pending)
            conversation.channel.update(
                conversation.transcript.answer(f"Waiting for your decision: {what}. Send {CONTINUE} to be asked.")
            )

    def note_request(self, conversation: Conversation, text: str) -> None:
        """Keep that the session was used, and for its first request its title."""
        SessionIndex(workspace_folder(conversation.workspace.root)).note(conversation.place, text)

    def forget(self, session_id: str) -> None:
        """Close a session here; its history stays."""
        self._open.pop(session_id).close()

    def close(self) -> None:
        """Close all sessions."""
        for session_id in list(self._open):
            self.forget(session_id)

    def _asking(self, place: Place) -> closing[Session]:
        address = self._servers.address(place.server)
        return closing(Session(address.url, address.key, TimeLimit(_REQUEST_S), place.session, client="editor"))

    def _add(self, place: Place, workspace: Workspace, session: Session, editor: Editor) -> Conversation:
        context = session.get(f"/agents/{place.session}/current").get("context") or {}
        choice = AgentChoice(session.get("/agents").get("agents") or [], str(context.get("current_agent")))
        channel = Channel(editor.client, editor.capabilities, place.session, editor.loop)
        confinement = Confinement(find_boundary(), may_connect=self._network)
        conversation = Conversation(
            channel,
            self._servers.address(place.server),
            place,
            workspace,
            choice,
            confinement,
            self._servers.context_tokens,
        )
        self._open[place.session] = conversation
        return conversation
