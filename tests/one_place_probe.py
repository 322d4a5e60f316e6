"""Run in a changed copy of the tree: what policy, agents, clients and evaluation know of the changes."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agents.classification import CLASSIFICATION_SCHEMA, read_classification
from agents.replies.written_plan import plan_in_text
from agents.roster import BY_LABEL, ROSTER, agents_of, check_roster
from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from evaluation.fake_workspace import FakeWorkspace
from evaluation.tasks import Task
from evaluation.trial import run_trial
from graph.builder import build_graph
from llm.chat_model import Models
from policy.decide import Call, Facts, decide
from policy.rules import load_rules
from prompts.render import agent_prompt, classifier_prompt
from storage.session_state import SessionState
from tests.runs.views import decided
from tools.catalog import BY_NAME
from wire.protocol import ToolCall, UserMessage

RULES = load_rules()


def judged(tool: str, arguments: dict[str, Any], agent: str = "coder") -> list[str]:
    entry = ROSTER[agent]
    verdict = decide(Call(tool, arguments), entry.rights(entry.tools), Facts(), RULES)
    return [verdict.decision, verdict.reasons[0].text if verdict.reasons else ""]


def choices(agent: str, tool: str, *keys: str) -> list[str]:
    found: Any = next(t for t in ROSTER[agent].offered() if t.name == tool).parameters["properties"]
    for key in keys:
        found = found[key]
    return list(found["enum"])


async def walked(*replies: dict[str, Any], agent: str = "coder") -> dict[str, Any]:
    """Play replies of the scripted model on the real graph until it pauses, and once more after a rejection."""
    graph = build_graph(InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    request = HumanMessage("Go\n#script\n" + json.dumps(replies), id="user_1")
    values = await graph.ainvoke({"messages": [request], "agent": agent, "chosen_by": "user"}, config)
    waiting = [i.value for i in values.get("__interrupt__", ())]
    if waiting:
        values = await graph.ainvoke(Command(resume={"decision": "reject"}), config)
    told = [[m.name, str(m.text)] for m in values["messages"] if m.type == "tool"]
    return {"agent": values["agent"], "waiting": [[w["kind"], w["tool_name"]] for w in waiting], "told": told}


async def evaluated(tool: str, agent: str) -> dict[str, Any]:
    script = [{"tool": tool, "args": {"path": "a.py"}, "id": "c1"}, {"text": "It could not be deleted."}]
    task = Task(name="t", agent=agent, text="Delete a.py\n#script\n" + json.dumps(script), tools=frozenset({tool}))
    trial = await run_trial(task, Models())
    return {"calls": trial.calls, "wrong": trial.wrong_calls, "passed": trial.passed}


def refused(tool: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        call = ToolCall(call_id="c", tool_name=tool, arguments={"path": "a.py"}, requires_approval=True)
        return WorkspaceExecutor(Workspace(Path(folder))).examine(ToolRequest.of(call)).refusal


def facts() -> dict[str, Any]:
    check_roster()
    tool, agent = "delete_file", "reviewer"
    offered = ROSTER[agent].offered()
    plan = plan_in_text("Plan\n1. [REVIEWER] Read lib\n2. [CODER] Repair lib", "Repair lib") or {"subtasks": []}
    classified = read_classification(json.dumps({"agent": agent, "confidence": "high", "reasoning": "asked"}))
    switch = {"tool": "switch_mode", "args": {"mode": agent}, "id": "s1"}
    delete = {"tool": tool, "args": {"path": "a.py"}, "id": "d1"}
    started = decided(SessionState(None), UserMessage(content="Read\nit"))
    return {
        "ordinary": judged(tool, {"path": "lib/a.py"}),
        "git": judged(tool, {"path": ".git/config"}),
        "outside": judged(tool, {"path": "../a.py"}),
        "secret": judged(tool, {"path": ".env"}),
        "ask_agent": judged(tool, {"path": "a.py"}, "ask"),
        "architect": judged(tool, {"path": "a.py"}, "architect"),
        "clearing": BY_NAME[tool].refetch,
        "prompt": agent_prompt(agent, tools=[(t.name, t.description) for t in offered]).text,
        "classifier": classifier_prompt([(label, a.when) for label, a in BY_LABEL.items()]).text,
        "labels": CLASSIFICATION_SCHEMA["properties"]["agent"]["enum"],
        "classified": classified.agent if classified else None,
        "switch_of_coder": choices("coder", "switch_mode", "mode"),
        "switch_of_reviewer": choices(agent, "switch_mode", "mode"),
        "subtask_agents": choices("architect", "create_plan", "subtasks", "items", "properties", "agent"),
        "planned": [subtask["agent"] for subtask in plan["subtasks"]],
        "chosen": [a.name for a in agents_of(multi_agent=True)],
        "switched": asyncio.run(walked(switch, delete, {"text": "Not deleted."})),
        "refused": refused(tool),
        "workspace": FakeWorkspace({}).answer(tool, {"path": "a.py"}),
        "trial": asyncio.run(evaluated(tool, agent)),
        "rule": judged("write_file", {"path": "generated/a.py", "content": "x"}),
        "rule_elsewhere": judged("write_file", {"path": "lib/a.py", "content": "x"}),
        "title": started.activity.title if started.activity else None,
        "nodes": sorted(build_graph().get_graph().nodes),
        "changed_prompt": agent_prompt("ask", tools=[]).text.splitlines()[0],
    }


if __name__ == "__main__":
    print(json.dumps(facts()))
