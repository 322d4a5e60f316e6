"""The work on a request: each verb as a generator of tool calls that returns a report of their results."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.script.history import Outcome
from llm.script.phrases import Phrases, block
from llm.script.request import NotUnderstood, Step, read_request
from llm.script.verbs import BY_NAME
from tools.calculator import CALCULATOR, evaluate

_RUNNERS = {"py": "python", "sh": "bash", "js": "node", "dart": "dart run"}
_PLAN_PATH = "docs/plan.md"
_TITLE_CHARS = 80
_CHANGING = frozenset({"create", "change", "run"})
_CUT = re.compile(r"\n\[\.\.\. \d+ characters left out \.\.\.\]\n|^\[This result was cleared")


@dataclass(frozen=True)
class Call:
    """A tool call that a step needs."""

    tool: str
    arguments: Mapping[str, Any]


class NotDone(Exception):
    """A step failed; the message is the reason in the user's language."""


Work = Generator[Call, Outcome, str]


@dataclass
class Worker:
    """The agent of one reply: the tools that it is offered, the language, and the switches of this turn."""

    tools: Collection[str]
    say: Phrases
    switched_to: set[str] = field(default_factory=set)

    def do_all(self, steps: list[Step]) -> Work:
        """Do the steps in order up to the first that fails, then finish."""
        reports: list[str] = []
        for number, step in enumerate(steps):
            try:
                reports.append((yield from _WORK[step.verb.name](self, step)))
            except NotDone as problem:
                reports.append(str(problem))
                if left := [later.clause for later in steps[number + 1 :]]:
                    reports.append(self.say("not_started", "; ".join(left)))
                break
        text = "\n\n".join(reports)
        if "attempt_completion" in self.tools and any(step.verb.name in _CHANGING for step in steps):
            yield Call("attempt_completion", {"result": text})
        return text

    def use(self, step: Step, tool: str, **arguments: Any) -> Generator[Call, Outcome, Outcome]:
        """Make a call that must succeed, after a switch to the verb's agent where this one lacks the tool or right."""
        may_switch = "switch_mode" in self.tools and step.verb.agent not in self.switched_to
        outcome = None
        if tool in self.tools:
            outcome = yield Call(tool, arguments)
            if outcome.worked:
                return outcome
        is_sent_on = outcome is None or f"switch to {step.verb.agent}" in outcome.refusal.lower()
        if is_sent_on and may_switch:
            arguments = {"mode": step.verb.agent, "reason": self.say("needs", tool)}
            outcome = yield Call("switch_mode", arguments)  # the next reply is the other agent's
        reason = outcome.reason if outcome else self.say("no_tool", tool)
        raise NotDone(self.say("not_done", step.clause, reason))

    def content_of(self, step: Step, **lines: int) -> Generator[Call, Outcome, tuple[str, bool]]:
        """Read a file; the second value says whether the content is complete."""
        outcome = yield from self.use(step, "read_file", path=step.path, **lines)
        value = outcome.value
        content = value.get("content") if isinstance(value, Mapping) else value
        text = content if isinstance(content, str) else outcome.result
        return text, text == content and not _CUT.search(outcome.result)


def _list(worker: Worker, step: Step) -> Work:
    outcome = yield from worker.use(step, "list_files", path=step.path or ".")
    found = _entries(outcome.value, "items")
    return worker.say.entries("files", step.path or worker.say("workspace"), found)


def _read(worker: Worker, step: Step) -> Work:
    lines = {"start_line": step.lines[0], "end_line": step.lines[1]} if step.lines else {}
    content, _ = yield from worker.content_of(step, **lines)
    return worker.say.file(step.path, content)


def _search(worker: Worker, step: Step) -> Work:
    place = {"path": step.path} if step.path else {}
    outcome = yield from worker.use(step, "search_in_code", query=step.text, **place)
    return worker.say.entries("matches", step.text, _entries(outcome.value, "matches"))


def _create(worker: Worker, step: Step) -> Work:
    if step.is_folder:
        yield from worker.use(step, "create_directory", path=step.path)
        return worker.say("created_folder", step.path)
    done = worker.say("created", step.path, len(step.text.splitlines()))
    return (yield from _write(worker, step, step.text, done))


def _change(worker: Worker, step: Step) -> Work:
    content, is_whole = yield from worker.content_of(step)
    if not is_whole:
        raise NotDone(worker.say("incomplete", step.path))
    if step.new:
        changed = content.replace(step.text, step.new)
        done = worker.say("replaced", step.path, step.text, step.new, content.count(step.text))
    else:
        changed = f"{content}{'' if not content or content.endswith(chr(10)) else chr(10)}{step.text}\n"
        done = worker.say("appended", step.path, step.text)
    if changed == content:
        raise NotDone(worker.say("absent", step.path, step.text))
    return (yield from _write(worker, step, changed, done))


def _write(worker: Worker, step: Step, content: str, done: str) -> Work:
    folders = {"create_dirs": True} if "/" in step.path else {}
    outcome = yield from worker.use(step, "write_file", path=step.path, content=content, **folders)
    return done + (worker.say("edited") if outcome.was_edited else "")


def _run(worker: Worker, step: Step) -> Work:
    runner = _RUNNERS.get(step.path.rpartition(".")[2])
    command = step.text or (f"{runner} {step.path}" if runner else f"./{step.path}")
    outcome = yield from worker.use(step, "execute_command", command=command)
    value = outcome.value if isinstance(outcome.value, Mapping) else {"stdout": outcome.result}
    code = value.get("exit_code")
    output = "\n".join(str(value[key]).strip() for key in ("stdout", "stderr") if value.get(key))
    report = worker.say("ran" if code is None else "ran_to", command, code) + block(output)
    if code:
        raise NotDone(report)
    return report


def _calculate(worker: Worker, step: Step) -> Work:
    expression = step.text.replace("^", "**")
    if CALCULATOR.name in worker.tools:
        outcome = yield from worker.use(step, CALCULATOR.name, expr=expression)
        return f"{step.text} = {outcome.result}"
    try:
        return f"{step.text} = {evaluate({'expr': expression})}"
    except ValueError as error:
        raise NotDone(worker.say("not_done", step.clause, str(error))) from error


def _plan(worker: Worker, step: Step) -> Work:
    feedback = ""
    while True:
        outcome = yield from worker.use(step, "create_plan", **_plan_arguments(step.text, feedback, worker.say))
        value = outcome.value if isinstance(outcome.value, Mapping) else {}
        status, said = str(value.get("status", "")), str(value.get("feedback") or "")
        if status != "modification_requested" or not said or said in feedback:
            name = f"plan_{status}" if status in {"approved", "rejected"} else "plan_ended"
            return worker.say(name, outcome.reason)
        feedback = f"{feedback}\n{said}".strip()


def _plan_arguments(goal: str, feedback: str, say: Phrases) -> dict[str, Any]:
    """Make the arguments of create_plan; `feedback` is what the user said about an earlier plan."""
    subtasks = _steps_of(goal) if not feedback else []
    if not subtasks:
        text = f"# {goal}\n{feedback}".strip().replace("```", "'''")
        subtasks = [
            (say("plan_write"), f"{say('plan_create', _PLAN_PATH)} ```\n{text}\n```", "coder"),
            (say("plan_read"), say("plan_explain", _PLAN_PATH), "ask"),
        ]
    return {
        "title": " ".join(goal.split())[:_TITLE_CHARS],
        "description": f"{goal}\n{feedback}".strip(),
        "subtasks": [
            {
                "title": title,
                "description": description,
                "agent": agent,
                "estimated_time_minutes": 5,
                "dependencies": [number - 1] if number else [],
            }
            for number, (title, description, agent) in enumerate(subtasks)
        ],
    }


def _steps_of(goal: str) -> list[tuple[str, str, str]]:
    """Take the goal's own steps when every one of them is understood."""
    try:
        steps = read_request(goal)
    except NotUnderstood:
        return []
    return [(s.clause[:_TITLE_CHARS], s.clause, s.verb.agent) for s in steps if s.verb.name != "plan"]


def _entries(value: Any, key: str) -> list[str]:
    """Return the entries of a list result; a client may send the list alone, or lines of text."""
    found = value.get(key, []) if isinstance(value, Mapping) else value
    if isinstance(found, str):
        return [line for line in found.splitlines() if line.strip()]
    return [_entry(item) for item in found] if isinstance(found, list) else []


def _entry(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    place = str(item.get("path") or item.get("name") or "")
    if item.get("type") == "directory":
        return f"{place.rstrip('/')}/"
    line, text = item.get("line") or item.get("line_number"), item.get("text") or item.get("content")
    return place + (f":{line}" if line else "") + (f": {str(text).strip()}" if text else "")


_WORK: Mapping[str, Callable[[Worker, Step], Work]] = {
    work.__name__.removeprefix("_"): work for work in (_list, _read, _search, _create, _change, _run, _calculate, _plan)
}
assert set(_WORK) == set(BY_NAME)
