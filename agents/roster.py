"""The agents as data: adding one is one entry here and one prompt file (`prompts/<name>.md`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from errors import ConfigurationError
from policy.decide import Rights
from prompts.render import prompt_text
from tools.catalog import BY_NAME, TOOLS
from tools.tool import Tool


@dataclass(frozen=True)
class Agent:
    """One agent: what the router, the policy, `GET /agents`, the prompts and the plans know about it."""

    name: str
    when: str
    """One sentence for the router and for people: which requests are this agent's."""
    tools: frozenset[str]
    writes: Literal["any", "markdown", "none"] = "none"
    role: Literal["router", "specialist", "alone"] = "specialist"
    """router = hands requests over, alone = the only one in single-agent mode."""
    label: str = ""
    """The classifier's name for it (docs/routing.md) where it is not its own."""
    only: str = ""
    """What it is for when it is denied a write or a command: `… agent can only <only>`."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.capitalize()

    @property
    def plans(self) -> bool:
        """Whether its work may be a plan; such an agent carries out no subtasks."""
        return any(tool.effect == "plan" for tool in TOOLS if tool.name in self.tools)

    @property
    def runs_commands(self) -> bool:
        """Whether it has a tool for commands."""
        return any(tool.command is not None for tool in TOOLS if tool.name in self.tools)

    def rights(self, offered: frozenset[str]) -> Rights:
        """What the policy may let it do with the tools that it is offered now."""
        return Rights(
            agent=self.name,
            title=self.title,
            tools=offered,
            writes=self.writes,
            only=self.only,
            writers=_titles(agent for agent in SPECIALISTS if agent.writes == "any"),
            runners=_titles(agent for agent in SPECIALISTS if agent.runs_commands),
        )

    def _can_make(self, tool: Tool) -> bool:
        return bool(tool.made_of) and self.tools.issuperset(tool.made_of)

    @lru_cache(maxsize=256)  # noqa: B019 agents live as long as the process
    def offered(
        self, *, single: bool = False, in_plan: bool = False, declared: frozenset[str] = frozenset()
    ) -> tuple[Tool, ...]:
        """Its tools as its model sees them, in the order of the catalog, less those that this mode withholds.

        Plans and switches need other agents: they are withheld in single-agent mode and inside a plan. `declared` names
        the tools that the client runs beyond those of every client; unknown names are ignored. A tool that is made of
        others is offered with them.
        """
        withheld = {"plan", "switch"} if single or in_plan else set()
        mine = (tool for tool in TOOLS if tool.name in self.tools and tool.effect not in withheld)
        mine = (tool for tool in mine if not tool.declared or tool.name in declared or self._can_make(tool))
        return tuple(_naming_agents(tool, self) for tool in mine)


def _granted(*, access: Literal["read", "write"]) -> frozenset[str]:
    return frozenset(tool.name for tool in TOOLS if tool.access == access and tool.command is None)


_READING = _granted(access="read")
_WRITING = _granted(access="write")
DOCUMENT_TOOLS = frozenset(
    tool.name for tool in TOOLS if tool.changes_files and set((tool.paths or {}).values()) == {"file"}
)
"""The tools that say that they write files by name, so that the rule for Markdown can be applied."""
_COMMANDS = frozenset(tool.name for tool in TOOLS if tool.command is not None)
_LOCAL = frozenset(tool.name for tool in TOOLS if tool.runs == "local")
_FINISHING = frozenset(tool.name for tool in TOOLS if tool.effect in ("complete", "question"))
_PLANNING = frozenset(tool.name for tool in TOOLS if tool.effect == "plan")
_SWITCHING = frozenset(tool.name for tool in TOOLS if tool.effect == "switch")
_WORKING = _READING | _WRITING | _COMMANDS | _FINISHING | _SWITCHING

AGENTS: tuple[Agent, ...] = (
    Agent(
        name="orchestrator",
        when="Routes each request to the agent that fits it.",
        tools=_READING,
        role="router",
    ),
    Agent(
        name="coder",
        when="Writes, changes and runs code: new files, features, refactorings, commands.",
        tools=_WORKING,
        writes="any",
        label="code",
    ),
    Agent(
        name="architect",
        when="Plans and designs: architecture, specifications, and plans for tasks of several steps.",
        tools=_READING | DOCUMENT_TOOLS | _FINISHING | _PLANNING | _SWITCHING,
        writes="markdown",
        label="plan",
    ),
    Agent(
        name="debug",
        when="Investigates errors, crashes and failing tests, and finds their cause.",
        tools=_READING | _COMMANDS | _FINISHING | _SWITCHING,
        only="analyze and suggest fixes",
    ),
    Agent(
        name="ask",
        when="Answers questions and explains code or concepts, without changing anything.",
        tools=_READING | _FINISHING | _SWITCHING,
        label="explain",
        only="read and explain",
    ),
    Agent(
        name="universal",
        when="Does every kind of work alone, when there is only one agent.",
        tools=_WORKING | _LOCAL,
        writes="any",
        role="alone",
    ),
)

ROSTER = {agent.name: agent for agent in AGENTS}
ROUTER = next(agent for agent in AGENTS if agent.role == "router")
ALONE = next(agent for agent in AGENTS if agent.role == "alone")
SPECIALISTS = tuple(agent for agent in AGENTS if agent.role == "specialist")
PLANNER = next(agent for agent in SPECIALISTS if agent.plans)
WRITER = next(agent for agent in SPECIALISTS if agent.writes == "any")
"""The agent of requests and steps that name no other agent."""
SUBTASK_AGENTS = tuple(agent for agent in SPECIALISTS if not agent.plans)
BY_LABEL = {agent.label or agent.name: agent for agent in SPECIALISTS}
"""The specialists by the classifier's name for them."""


@cache
def agents_of(*, multi_agent: bool) -> tuple[Agent, ...]:
    """The agents that a client may choose in this mode."""
    return (ROUTER, *SPECIALISTS) if multi_agent else (ROUTER, ALONE)


def _naming_agents(tool: Tool, agent: Agent | None = None) -> Tool:
    named = SUBTASK_AGENTS if tool.effect == "plan" else agents_of(multi_agent=True)
    return tool.naming_agents([other.name for other in named if other is not agent])


def _titles(agents: Iterable[Agent]) -> str:
    *first, last = [agent.title for agent in agents] or [""]
    return f"{', '.join(first)} or {last}" if first else last


CHECKED_TOOLS = {tool.name: _naming_agents(tool) for tool in TOOLS}
"""The tools that calls are checked against: they may name every agent, because a switch to oneself has an answer."""


def check_roster(agents: tuple[Agent, ...] = AGENTS) -> None:
    """Stop the start-up when an agent names a tool or has a prompt that does not exist; the error names both."""
    for agent in agents:
        for tool in sorted(agent.tools - BY_NAME.keys()):
            raise ConfigurationError(
                f"Agent '{agent.name}' names the tool '{tool}', which tools/catalog.py does not have: "
                "add the tool there or take it out of agents/roster.py."
            )
        if agent.role != "router":
            try:
                prompt_text(agent.name)
            except ConfigurationError as error:
                raise ConfigurationError(f"Agent '{agent.name}' of agents/roster.py has no prompt. {error}") from error
