"""The jobs of the scripted model: each is a generator that asks for calls and reports what came of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from llm.script.files import facts_of, new_content, with_insertion, without
from llm.script.history import Outcome
from llm.script.requests import Job
from llm.script.worker import Blocked, Call, Report, Work, Worker

LONGEST_CHANGE_CHARS = 30_000
"""A longer result may have been cut on its way here: writing it back would lose the rest."""
_SHOWN_LINES = 12
_SHOWN_CHARS = 1_500


def _read_file(worker: Worker, job: Job) -> Generator[Call, Outcome, tuple[str, Report | None]]:
    """Read a file; the second value says why there is no content."""
    span = {"start_line": job.lines[0], "end_line": job.lines[1]} if job.lines else {}
    outcome = yield from worker.use("read_file", path=job.path, **span)
    if outcome.kind != "done":
        return "", Report(worker.say.failed(outcome.kind, worker.say.reading(job.path), outcome.reason), is_done=False)
    value = outcome.value
    if isinstance(value, Mapping):
        value = value.get("content", "")
    return value if isinstance(value, str) else str(outcome.result), None


def _read(worker: Worker, job: Job) -> Work:
    content, problem = yield from _read_file(worker, job)
    if problem is not None:
        return problem
    text = worker.say.file_facts(job.path, facts_of(job.path, content))
    if job.kind == "read" and content.strip():
        lines = content.splitlines()
        shown = "\n".join(lines[:_SHOWN_LINES])[:_SHOWN_CHARS]
        dots = "\n…" if len(shown) < len(content.rstrip()) else ""
        text += f"\n\n```\n{shown}{dots}\n```"
    return Report(text)


def _list(worker: Worker, job: Job) -> Work:
    deep = {"recursive": True} if job.other else {}
    outcome = yield from worker.use("list_files", path=job.path, **deep)
    if outcome.kind != "done":
        return Report(worker.say.failed(outcome.kind, worker.say.listing(job.path), outcome.reason), is_done=False)
    return Report(worker.say.files(job.path, _names(outcome.value)))


def _names(value: Any) -> list[str]:
    items = (
        next((value[key] for key in ("items", "files", "entries") if key in value), [])
        if isinstance(value, Mapping)
        else value
    )
    if isinstance(items, str):
        return [line.strip() for line in items.splitlines() if line.strip()]
    names = []
    for item in items if isinstance(items, list) else []:
        name = str(item.get("path") or item.get("name")) if isinstance(item, Mapping) else str(item)
        is_folder = isinstance(item, Mapping) and str(item.get("type", "")).startswith(("dir", "folder"))
        names.append(name.rstrip("/") + "/" if is_folder else name)
    return names


def _tour(worker: Worker, job: Job) -> Work:
    outcome = yield from worker.use("list_files", path=".", recursive=True)
    if outcome.kind != "done":
        return Report(worker.say.failed(outcome.kind, worker.say.listing(job.path), outcome.reason), is_done=False)
    names = _names(outcome.value)
    text = worker.say.files(".", names)
    readme = next((name for name in names if name.lower().removeprefix("./").startswith("readme")), None)
    if readme is None:
        return Report(text)
    described = yield from _read(worker, Job("explain", path=readme))
    return Report(f"{text}\n\n{described.text}")


def _debug(worker: Worker, job: Job) -> Work:
    if not job.path:
        return (yield from _run(worker, Job("run", text="python -m pytest -q")))
    content, problem = yield from _read_file(worker, job)
    if problem is not None:
        return problem
    return Report(worker.say.diagnosis(job.path, facts_of(job.path, content)))


def _improve(worker: Worker, job: Job) -> Work:
    ideas: list[str] = []
    if job.path:
        content, problem = yield from _read_file(worker, job)
        if problem is not None:
            return problem
        ideas = worker.say.ideas(job.path, facts_of(job.path, content))
    question = worker.say.what_to_improve(job.path)
    ideas = ideas or worker.say.general_ideas()
    if "ask_followup_question" not in worker.tools:
        return Report(f"{question}\n" + "\n".join(f"- {idea}" for idea in ideas))
    outcome = yield Call("ask_followup_question", {"question": question, "suggestions": ideas})
    return Report(worker.say.failed(outcome.kind, question, outcome.reason))


def _write(worker: Worker, path: str, content: str, done: str) -> Work:
    outside = {"create_dirs": True} if "/" in path else {}
    if worker.is_architect and not path.lower().endswith(".md"):
        raise Blocked(worker.say.no_tool("write_file"))
    outcome = yield from worker.use("write_file", path=path, content=content, **outside)
    if outcome.kind != "done":
        return Report(
            worker.say.failed(outcome.kind, worker.say.writing(path), outcome.reason), is_done=False, is_effect=True
        )
    edited = worker.say.edited() if outcome.result.startswith("The user changed the arguments") else ""
    return Report(done + edited, is_effect=True)


def _create(worker: Worker, job: Job) -> Work:
    content = job.text or new_content(job.path, job.wish)
    return (yield from _write(worker, job.path, content, worker.say.created(job.path, facts_of(job.path, content))))


def _change(worker: Worker, job: Job, change: Callable[[str], tuple[str, str]]) -> Work:
    """Read a file, then write it back changed; `change` gives the new content and what to say about it."""
    content, problem = yield from _read_file(worker, Job("read", path=job.path))
    if problem is not None:
        return problem
    if len(content) > LONGEST_CHANGE_CHARS:
        return Report(worker.say.too_long(job.path), is_done=False)
    changed, done = change(content)
    if changed == content:
        return Report(worker.say.nothing_to_change(job.path, job.text), is_done=False)
    return (yield from _write(worker, job.path, changed, done))


def _replace(worker: Worker, job: Job) -> Work:
    def change(content: str) -> tuple[str, str]:
        times = content.count(job.text)
        return content.replace(job.text, job.other), worker.say.replaced(job.path, job.text, job.other, times)

    return (yield from _change(worker, job, change))


def _remove(worker: Worker, job: Job) -> Work:
    return (
        yield from _change(
            worker, job, lambda content: (without(content, job.text), worker.say.removed(job.path, job.text))
        )
    )


def _insert(worker: Worker, job: Job) -> Work:
    if not job.text and job.other in {"line", "function"}:
        ideas = worker.say.what_to_insert_ideas(job.path)
        if "ask_followup_question" not in worker.tools:
            return Report(worker.say.what_to_insert(job.path))
        outcome = yield Call(
            "ask_followup_question", {"question": worker.say.what_to_insert(job.path), "suggestions": ideas}
        )
        return Report(outcome.reason)

    def change(content: str) -> tuple[str, str]:
        changed = with_insertion(job.path, content, job.text, what=job.other, at_start=job.at_start)
        return changed, worker.say.inserted(job.path, job.other, job.text)

    return (yield from _change(worker, job, change))


def _mkdir(worker: Worker, job: Job) -> Work:
    outcome = yield from worker.use("create_directory", path=job.path)
    if outcome.kind != "done":
        return Report(
            worker.say.failed(outcome.kind, worker.say.making(job.path), outcome.reason), is_done=False, is_effect=True
        )
    return Report(worker.say.made(job.path), is_effect=True)


def _run(worker: Worker, job: Job) -> Work:
    outcome = yield from worker.use("execute_command", command=job.text)
    if outcome.kind != "done":
        return Report(
            worker.say.failed(outcome.kind, worker.say.running(job.text), outcome.reason), is_done=False, is_effect=True
        )
    value = outcome.value
    code, output = None, outcome.result
    if isinstance(value, Mapping):
        code = next(
            (value[key] for key in ("exit_code", "returncode", "code", "exitCode") if isinstance(value.get(key), int)),
            None,
        )
        parts = [str(value[key]).strip() for key in ("stdout", "output", "stderr") if value.get(key)]
        output = "\n".join(part for part in parts if part)
    elif not isinstance(value, str):
        output = str(value)
    return Report(worker.say.ran(job.text, code, output[:_SHOWN_CHARS]), is_done=code in {None, 0}, is_effect=True)


def _search(worker: Worker, job: Job) -> Work:
    place = {"path": job.path} if job.path else {}
    outcome = yield from worker.use("search_in_code", query=job.text, **place)
    if outcome.kind != "done":
        return Report(worker.say.failed(outcome.kind, worker.say.searching(job.text), outcome.reason), is_done=False)
    value = outcome.value
    matches = value.get("matches", value.get("results", [])) if isinstance(value, Mapping) else value
    if isinstance(matches, str):
        found = [line for line in matches.splitlines() if line.strip()]
    else:
        found = [_match(match) for match in matches] if isinstance(matches, list) else []
    return Report(worker.say.matches(job.text, found))


def _match(match: Any) -> str:
    if not isinstance(match, Mapping):
        return str(match)
    path = match.get("path") or match.get("file") or ""
    line = match.get("line_number") or match.get("line") or ""
    text = match.get("content") or match.get("text") or match.get("line_content") or ""
    where = f"{path}:{line}" if isinstance(line, int) else str(path)
    return f"{where}: {str(text or line).strip()}"


def _calculate(worker: Worker, job: Job) -> Work:
    outcome = yield from worker.use("calculator", expr=job.text)
    if outcome.kind != "done":
        return Report(worker.say.failed(outcome.kind, job.text, outcome.reason), is_done=False)
    return Report(f"{job.text} = {outcome.result}")


def _echo(worker: Worker, job: Job) -> Work:
    if "echo" not in worker.tools:
        return (yield from _run(worker, Job("run", text=f"echo {job.text}")))
    outcome = yield Call("echo", {"text": job.text})
    return Report(outcome.result)


def _switch(worker: Worker, job: Job) -> Work:
    if job.text in worker.switched_to:
        return Report(worker.say.switched(job.text))
    if "switch_mode" not in worker.tools:
        return Report(worker.say.no_tool("switch_mode"), is_done=False)
    outcome = yield Call("switch_mode", {"mode": job.text, "reason": worker.say.asked_to_switch()})
    return Report(worker.say.no_switch(job.text, outcome.reason), is_done=False)


LOOKING = ("list", "read", "explain", "tour", "debug", "search", "calculate", "echo")
JOBS: Mapping[str, Callable[[Worker, Job], Work]] = {
    "list": _list,
    "read": _read,
    "explain": _read,
    "tour": _tour,
    "debug": _debug,
    "create": _create,
    "replace": _replace,
    "insert": _insert,
    "remove": _remove,
    "mkdir": _mkdir,
    "run": _run,
    "search": _search,
    "calculate": _calculate,
    "echo": _echo,
    "switch": _switch,
    "improve": _improve,
}
