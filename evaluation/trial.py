"""Runs one labelled task: the real graph, an agent's model, and a fake workspace in place of the client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agents.roster import ALONE
from client.decider import refused_alone
from context import Context
from evaluation.fake_workspace import FakeWorkspace
from evaluation.tasks import Task
from evaluation.transcript import transcript
from graph.builder import build_graph
from policy.decide import Environment, Facts
from prompts.size import ChosenSize
from tools.catalog import BY_NAME, TOOLS
from tools.create_plan import CREATE_PLAN
from tools.write_file import lost_lines

MAX_ROUNDS = 30
MAX_SUPERSTEPS = 400
NEVER_WRONG = frozenset(tool.name for tool in TOOLS if tool.access == "read" or tool.effect in ("complete", "question"))
"""The tools that every task allows: they read, or end the turn."""
NO_REPLY = frozenset({"llm_unavailable", "llm_timeout"})
_MAX_JOINED = 8
"""So many lines joined to one are still known again."""


@dataclass
class Trial:
    """The result of one task."""

    task: Task
    calls: list[str] = field(default_factory=list)
    """The names of the called tools, in order, finishing and planning included."""
    denied: int = 0
    answer: str = ""
    error: str | None = None
    implicit: bool = False
    reprompted: int = 0
    model_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the server had in its cache."""
    wall_s: float = 0.0
    damaged: bool = False
    """Whether a file lost content that the wished change leaves alone."""
    strayed: bool = False
    """Whether a file was changed, or made, that the task does not name."""
    transcript: str = ""
    problem: str | None = None
    """Which check of the task failed; None when all hold."""

    @property
    def called(self) -> bool:
        """Whether every tool that the task needs was called."""
        return self.task.tools <= {name for call in self.calls for name in _counted_as(call)}

    @property
    def wrong_calls(self) -> int:
        """The calls that the task does not need."""
        useful = NEVER_WRONG | self.task.tools | self.task.may
        return sum(useful.isdisjoint(_counted_as(name)) for name in self.calls)

    @property
    def finished(self) -> bool:
        """Whether the agent finished by itself: no error, no limit, no text that only announced work."""
        return self.error is None and not self.implicit

    @property
    def unmeasured(self) -> bool:
        """Whether the model gave no reply, so that the trial says nothing about it."""
        return self.error in NO_REPLY

    @property
    def passed(self) -> bool:
        """Whether the task was done."""
        return self.finished and self.problem is None


def _counted_as(call: str) -> tuple[str, ...]:
    """The names that a call counts for: an edit is a write too."""
    return BY_NAME[call].names_in_rules if call in BY_NAME else (call,)


async def run_trial(task: Task, models: Any, *, reprompt: bool = True, prompt_size: ChosenSize = "auto") -> Trial:
    """Run a task as an unattended client does: calls are approved but for dangerous ones, the first suggestion is the
    answer. A plan counts as done when it waits for approval.
    """
    workspace = FakeWorkspace(task.files, task.commands)
    trial = Trial(task)
    environment = workspace.environment()
    facts = Facts(environment=Environment.read(environment))
    context = Context(
        models=models,
        facts=facts,
        environment=environment,
        reprompt=reprompt,
        prompt_size=prompt_size,
        max_model_calls=MAX_ROUNDS,
        multi_agent=task.agent != ALONE.name,
    )
    graph = build_graph(InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": MAX_SUPERSTEPS}
    planning = CREATE_PLAN.name in task.tools
    step: Any = {
        "messages": [HumanMessage(task.text, id="user_1")],
        "agent": task.agent,
        "chosen_by": "router" if planning else "user",
        "turn": {"planning": True} if planning else {},
    }
    started = time.perf_counter()
    for _ in range(MAX_ROUNDS):
        interrupts: list[Any] = []
        modes: list[Any] = ["updates", "custom"]
        async for item in graph.astream(step, config, context=context, stream_mode=modes, version="v2"):
            _take(cast(Mapping[str, Any], item), trial, interrupts)
        if not interrupts or any(i.value["kind"] == "plan_review" for i in interrupts):
            break
        step = Command(resume={i.id: _answer(i.value, workspace) for i in interrupts})
    else:
        trial.error = "too many rounds"
    trial.wall_s = time.perf_counter() - started
    trial.problem = _problem(task, trial, workspace)
    trial.damaged = _is_damaged(task, workspace)
    trial.strayed = _has_strayed(task, workspace)
    state = await graph.aget_state(config)
    trial.transcript = transcript(state.values.get("messages", []))
    return trial


def _answer(payload: Mapping[str, Any], workspace: FakeWorkspace) -> dict[str, Any]:
    if payload["kind"] in ("question", "switch"):
        return {"content": payload["suggestions"][0]}
    is_asked = payload["kind"] == "approval"
    refusal = refused_alone(payload["verdict"]) if is_asked else None
    if refusal is not None:
        return {"decision": "reject", "feedback": refusal}
    answer = workspace.answer(payload["tool_name"], payload["arguments"])
    return {"decision": "approve", **answer} if is_asked else answer


def _take(item: Mapping[str, Any], trial: Trial, interrupts: list[Any]) -> None:
    if item["type"] == "custom":
        _count(item["data"], trial)
        return
    for node, update in item["data"].items():
        if node == "__interrupt__":
            interrupts += update
        elif isinstance(update, Mapping) and isinstance(update.get("messages"), list):
            trial.calls += [call["name"] for m in update["messages"] for call in getattr(m, "tool_calls", [])]


def _count(event: Mapping[str, Any], trial: Trial) -> None:
    told = event.get("metadata") or {}
    match event["event"]:
        case "message":
            trial.answer += f"{event['content']}\n"
            trial.implicit = bool(told.get("implicit"))
        case "failed":
            trial.error = told["code"]
        case "denied":
            trial.denied += 1
        case "model_call":
            trial.model_calls += 1
            trial.reprompted += told["outcome"] == "reprompted"
            trial.prompt_tokens += told.get("prompt_tokens") or 0
            trial.completion_tokens += told.get("completion_tokens") or 0
            trial.cached_tokens += told.get("cached_tokens") or 0


def _problem(task: Task, trial: Trial, workspace: FakeWorkspace) -> str | None:
    """Check what the task asks for."""
    if not trial.called:
        return f"not called: {', '.join(sorted(task.tools - set(trial.calls)))}"
    for path, text in task.contains.items():
        if text not in workspace.files.get(path, ""):
            return f"{path} does not hold {text!r}"
    if task.unchanged and workspace.files != task.files:
        return "files were changed"
    if task.says and task.says not in trial.answer.lower():
        return f"the answer does not say {task.says!r}"
    return None


def _is_damaged(task: Task, workspace: FakeWorkspace) -> bool:
    """Whether a file lost content that the wished change leaves alone."""
    now = workspace.files
    return any(lost_content(text, now.get(path, ""), task.replaces.get(path, ())) for path, text in task.files.items())


def _has_strayed(task: Task, workspace: FakeWorkspace) -> bool:
    """Whether a file was changed, or made, of which the task says nothing; a task without a document may make some."""
    now, named = workspace.files, {*task.contains, *task.replaces}
    changed = {path for path in {*task.files, *now} if task.files.get(path) != now.get(path)}
    return bool(changed - named) and (bool(named) or task.unchanged)


def lost_content(before: str, after: str, replaced: Collection[str] = ()) -> list[str]:
    """Return the lines that are gone, but for those that hold one of the `replaced` texts.

    Lines that follow each other and were joined to one are not gone: like indentation, the ends of lines do not count.
    """
    lost = lost_lines(before, _with_line_ends(after, before))
    return [line for line in lost if not any(text in line for text in replaced)]


def _with_line_ends(text: str, before: str) -> str:
    lines = [*filter(None, map(str.strip, before.splitlines()))]
    spans = (lines[start : start + size] for size in range(2, _MAX_JOINED + 1) for start in range(len(lines)))
    joined = {" ".join(span): "\n".join(span) for span in spans}
    return "\n".join(joined.get(line.strip(), line) for line in text.splitlines())
