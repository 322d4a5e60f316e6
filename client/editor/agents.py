"""Our agents as an editor offers them: session modes, and the same choice as a configuration option."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acp.schema import (
    ConfigOptionUpdate,
    CurrentModeUpdate,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
    SessionMode,
    SessionModeState,
)

OPTION_ID = "mode"


class AgentChoice:
    """Which agents there are and which one is current; modes are deprecated, so both forms are sent."""

    def __init__(self, agents: Sequence[dict[str, Any]], current: str) -> None:
        self._agents = [(str(row.get("type")), str(row.get("name")), str(row.get("description"))) for row in agents]
        self.current = current

    @property
    def names(self) -> list[str]:
        """The names that can be chosen."""
        return [name for name, _, _ in self._agents]

    def modes(self) -> SessionModeState:
        """The state of `session/new`, `session/load` and `session/resume`."""
        modes = [SessionMode(id=name, name=title, description=when) for name, title, when in self._agents]
        return SessionModeState(current_mode_id=self.current, available_modes=modes)

    def options(self) -> list[SessionConfigOptionSelect]:
        """The same as configuration options."""
        values = [
            SessionConfigSelectOption(value=name, name=title, description=when) for name, title, when in self._agents
        ]
        return [
            SessionConfigOptionSelect(
                id=OPTION_ID,
                name="Agent",
                description="Which agent answers; the orchestrator chooses for each request.",
                category="mode",
                type="select",
                current_value=self.current,
                options=values,
            )
        ]

    def switched(self, name: str) -> list[CurrentModeUpdate | ConfigOptionUpdate]:
        """Make another agent current and give the updates that say so."""
        self.current = name
        return [
            CurrentModeUpdate(session_update="current_mode_update", current_mode_id=name),
            ConfigOptionUpdate(session_update="config_option_update", config_options=self.options()),
        ]
