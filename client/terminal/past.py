"""`agent-runtime sessions` and `agent-runtime undo`: what earlier chats of a workspace left, without a server."""

from __future__ import annotations

from pathlib import Path

from client.configuration import workspace_folder
from client.session_index import SessionIndex
from client.workspace.folder import workspace_at
from client.workspace.journal.journal import Journal
from client.workspace.journal.undo import undo
from errors import ConfigurationError
from policy.verdicts.display import escape_display


def list_sessions(folder: Path) -> list[str]:
    """One line per session that clients of this user began in a folder, the newest first."""
    places = SessionIndex(workspace_folder(workspace_at(folder).root)).sessions()
    if not places:
        return ["This workspace has no sessions."]
    return [f"{place.session}  {place.at[:16].replace('T', ' ')}  {escape_display(place.title)}" for place in places]


def undo_last(folder: Path, session: str | None, *, redo: bool) -> tuple[list[str], bool]:
    """Take back the last turn, or undo; gives the lines for the person and whether nothing was left as it is."""
    workspace = workspace_at(folder)
    journal = workspace.journal = Journal(workspace_folder(workspace.root))
    report = undo(workspace, journal, session, redo=redo)
    if report is None:
        raise ConfigurationError("There is nothing to take back in this workspace.")
    return [escape_display(line) for line in report.lines()], not report.conflicts
