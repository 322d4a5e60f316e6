"""`agent-runtime sessions`: what `chat --session` can take up, without starting a server."""

from __future__ import annotations

from pathlib import Path

from client.configuration import workspace_folder
from client.session_index import SessionIndex
from errors import ConfigurationError
from policy.verdicts.display import escape_display


def list_sessions(workspace: Path) -> list[str]:
    """One line per session that clients of this user began in a folder, the newest first."""
    if not workspace.is_dir():
        raise ConfigurationError(f"The workspace '{workspace}' is not a folder that can be used.")
    places = SessionIndex(workspace_folder(workspace)).sessions()
    if not places:
        return ["This workspace has no sessions."]
    return [f"{place.session}  {place.at[:16].replace('T', ' ')}  {escape_display(place.title)}" for place in places]
