"""What a past model call was given: rebuilt from the thread and the prompt files, never stored a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage

from agents.model_call import hash_of_tools
from agents.roster import ROSTER, agents_of
from agents.thread.conversation import readable
from prompts.instructions import instruction_files
from prompts.render import agent_prompt
from tools.tool import Tool

NO_THREAD = "The thread of this call is not kept any more: it was compacted, or the run was cancelled."
OTHER_PROMPT = "A prompt file, or the project's instructions, have changed since this call; the prompt is today's."
OTHER_TOOLS = "The tools have changed since this call; these are today's."


@dataclass(frozen=True)
class Given:
    """The prompt, the messages and the tools of a call, and what is not certain about them."""

    prompt: str | None
    messages: list[BaseMessage]
    tools: list[str]
    cautions: list[str]


def given_to(
    call: Mapping[str, Any],
    thread: Sequence[AnyMessage] | None,
    plan: Mapping[str, Any] | None,
    environment: dict[str, Any] | None,
    *,
    multi_agent: bool,
    instruction_chars: int,
) -> Given:
    """Rebuild a call of an agent; `thread` holds the messages before its reply, None when they are gone."""
    agent = ROSTER[call["agent"]]
    cautions = [] if thread is not None else [NO_THREAD]
    messages = list(thread or [])
    start = next((i for i in reversed(range(len(messages))) if str(messages[i].id).startswith("subtask:")), None)
    in_plan = call["prompt_hash"].count("+") > 0 and start is not None and plan is not None
    tools = agent.offered(
        single=not multi_agent, in_plan=in_plan, declared=frozenset((environment or {}).get("tools") or ())
    )
    others = agents_of(multi_agent=True) if multi_agent and not in_plan else ()
    prompt = agent_prompt(
        agent.name,
        tools=[(tool.name, tool.description) for tool in tools],
        environment=environment,
        instructions=instruction_files(environment, instruction_chars),
        other_agents=[(other.name, other.when) for other in others if other.name != agent.name],
        subtask=_subtask(plan, messages[start]) if in_plan and plan is not None and start is not None else None,
    )
    cautions += [OTHER_PROMPT] * (prompt.hash != call["prompt_hash"])
    cautions += [OTHER_TOOLS] * (call["tools_hash"] not in (None, hash_of_tools(tools)))
    return Given(prompt.text, readable(messages[start:] if in_plan else messages), _names(tools), cautions)


def _subtask(plan: Mapping[str, Any], opened_by: BaseMessage) -> dict[str, Any]:
    by_id = {subtask["id"]: subtask for subtask in plan["subtasks"]}
    subtask = by_id.get(str(opened_by.id).removeprefix("subtask:"))
    if subtask is None:
        return {"goal": plan["title"], "description": str(opened_by.text), "results": []}
    done = [by_id[needed] for needed in subtask["dependencies"]]
    results = [{"description": one["description"], "result": one["result"]} for one in done]
    return {"goal": plan["title"], "description": subtask["description"], "results": results}


def _names(tools: Sequence[Tool]) -> list[str]:
    return [tool.name for tool in tools]


def role_of(message: BaseMessage) -> str:
    """The role of a message as a model's API names it."""
    return "user" if isinstance(message, HumanMessage) else {"ai": "assistant"}.get(message.type, message.type)
