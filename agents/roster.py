"""The agents as data: adding one is one entry here and one prompt file (`prompts/<name>.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from errors import ConfigurationError
from policy.decide import Rights
from tools.catalog import BY_NAME, TOOLS
from tools.tool import Tool


@dataclass(frozen=True)
class Agent:
    """One agent: what the router, the policy, `GET /agents` and the prompts know about it."""

    name: str
    when: str
    """One sentence for the router and for people: which requests are this agent's."""
    tools: frozenset[str]
    writes: Literal["any", "markdown", "none"] = "none"
    label: str | None = None
    """The classifier's name for it (protocol section 8), where it has one."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.capitalize()

    def rights(self, offered: frozenset[str]) -> Rights:
        """What the policy may let it do with the tools that it is offered now."""
        return Rights(agent=self.name, title=self.title, tools=offered, writes=self.writes)

    def offered(self, *, single: bool = False, in_plan: bool = False) -> tuple[Tool, ...]:
        """Its tools in the order of the catalog, less those that this mode withholds (protocol sections 5 and 7)."""
        withheld = {"create_plan", "switch_mode"} if single or in_plan else set()
        return tuple(tool for tool in TOOLS if tool.name in self.tools - withheld)


_READING = frozenset({"read_file", "list_files", "search_in_code"})
_FINISHING = frozenset({"attempt_completion", "ask_followup_question"})
_LOCAL = frozenset({"echo", "calculator"})
_WORKING = _READING | _FINISHING | {"write_file", "create_directory", "execute_command", "switch_mode"}

AGENTS: tuple[Agent, ...] = (
    Agent(
        name="orchestrator",
        when="Routes each request to the agent that fits it.",
        tools=_READING,
    ),
    Agent(
        name="coder",
        when="Writes, changes and runs code: new files, features, refactorings, commands.",
        tools=_WORKING | _LOCAL,
        writes="any",
        label="code",
    ),
    Agent(
        name="architect",
        when="Plans and designs: architecture, specifications, and plans for tasks of several steps.",
        tools=_READING | _FINISHING | {"write_file", "create_plan", "switch_mode"},
        writes="markdown",
        label="plan",
    ),
    Agent(
        name="debug",
        when="Investigates errors, crashes and failing tests, and finds their cause.",
        tools=_READING | _FINISHING | _LOCAL | {"execute_command", "switch_mode"},
        label="debug",
    ),
    Agent(
        name="ask",
        when="Answers questions and explains code or concepts, without changing anything.",
        tools=_READING | _FINISHING | {"switch_mode"},
        label="explain",
    ),
    Agent(
        name="universal",
        when="Does every kind of work alone, when there is only one agent.",
        tools=_WORKING | _LOCAL,
        writes="any",
    ),
)

ROSTER = {agent.name: agent for agent in AGENTS}


def agents_of(*, multi_agent: bool) -> tuple[Agent, ...]:
    """The agents that a client may choose in this mode (protocol sections 3 and 6)."""
    single = {"orchestrator", "universal"}
    return tuple(a for a in AGENTS if (a.name != "universal" if multi_agent else a.name in single))


def check_roster(agents: tuple[Agent, ...] = AGENTS) -> None:
    """Stop the start-up when an agent names a tool that does not exist; the error names both."""
    for agent in agents:
        for tool in sorted(agent.tools - BY_NAME.keys()):
            raise ConfigurationError(
                f"Agent '{agent.name}' names the tool '{tool}', which tools/catalog.py does not have: "
                "add the tool there or take it out of agents/roster.py."
            )
