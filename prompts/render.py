"""Prompts as Markdown files: filled strictly, and hashed so that a model call can say which text it ran with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from errors import ConfigurationError
from prompts.size import PromptSize

_FOLDER = Path(__file__).parent
_MAX_FACT_CHARS = 300
_SEVERAL_CALLS = (
    "Reads and searches that do not depend on each other go together in one reply; a call that changes something, or "
    "needs a result, waits for the one before it."
)
_ONE_CALL = "One tool call per reply: wait for its result before the next."


@dataclass(frozen=True)
class Prompt:
    """A prompt that is ready to be sent."""

    text: str
    hash: str
    """Short SHA-256 of the file's text, the same for every rendering: it changes when the prompt changes."""


@dataclass(frozen=True)
class _Source:
    """One prompt file as it was read."""

    template: Template
    variables: frozenset[str]
    hash: str
    changed_ns: int


_sources: dict[str, _Source] = {}


def render(name: str, /, *, reload: bool = False, **variables: str) -> Prompt:
    """Fill `prompts/<name>.md`: a variable that the file lacks, or that is not given, is an error naming it.

    `reload` (development) reads the file again when it has changed on disk.
    """
    source = _source(name, reload=reload)
    missing = sorted(source.variables - variables.keys())
    unused = sorted(variables.keys() - source.variables)
    if missing:
        raise ConfigurationError(f"prompts/{name}.md uses the variable '{missing[0]}', which was not given a value.")
    if unused:
        raise ConfigurationError(f"prompts/{name}.md does not use the variable '{unused[0]}', which was given a value.")
    return Prompt(source.template.substitute(variables).strip(), source.hash)


@contextmanager
def variant(**texts: str) -> Iterator[None]:
    """Let other texts stand for prompt files while the block runs, to compare prompts (notebooks/prompt_lab.ipynb)."""
    before = dict(_sources)
    _sources.update({name: _read(name, text, changed_ns=0) for name, text in texts.items()})
    try:
        yield
    finally:
        _sources.clear()
        _sources.update(before)


def prompt_text(name: str) -> str:
    """The text of a prompt file as it stands, its variables included."""
    return _source(name, reload=False).template.template


def agent_prompt(
    name: str,
    /,
    *,
    tools: Iterable[tuple[str, str]],
    size: PromptSize = "guided",
    several_calls: bool = False,
    environment: Mapping[str, object] | None = None,
    other_agents: Iterable[tuple[str, str]] = (),
    instructions: str = "",
    subtask: Mapping[str, object] | None = None,
    reload: bool = False,
) -> Prompt:
    """Build an agent's system prompt; `tools` are (name, description), `other_agents` (name, when to use it).

    `size`: an agent without `prompts/concise/<name>.md` has its guided prompt in both sizes. `several_calls`: whether
    a reply may hold several calls. A prompt uses the variables that it needs; tools are declared in the request anyway.
    `instructions` are the files of the project as `prompts.instructions` renders them.
    `subtask` = {"goal", "description", "results": [{"description", "result"}, …]} adds the addendum of a plan's step.
    """
    concise = f"concise/{name}"
    file = concise if size == "concise" and _exists(concise) else name
    variables = {
        "tools": _lines(tools) or "- none: answer with text",
        "calls": _SEVERAL_CALLS if several_calls else _ONE_CALL,
        "environment": environment_lines(environment),
        "other_agents": _lines(other_agents) or "None: nobody to hand over to. Do the whole work yourself.",
    }
    used = _source(file, reload=reload).variables
    prompt = render(file, reload=reload, **{key: text for key, text in variables.items() if key in used})
    if instructions:
        prompt = _joined(prompt, render("instructions", reload=reload, files=instructions))
    if subtask is None:
        return prompt
    addendum = render(
        "subtask",
        reload=reload,
        goal=str(subtask.get("goal") or "not given"),
        description=str(subtask.get("description") or "not given"),
        results=_result_blocks(subtask.get("results")),
    )
    return _joined(prompt, addendum)


def _joined(prompt: Prompt, addendum: Prompt) -> Prompt:
    return Prompt(f"{prompt.text}\n\n{addendum.text}", f"{prompt.hash}+{addendum.hash}")


def classifier_prompt(agents: Iterable[tuple[str, str]], *, reload: bool = False) -> Prompt:
    """Build the classifier's system prompt; `agents` are (label, when to use it)."""
    known = list(agents)
    return render("classifier", reload=reload, agents=_lines(known), labels="|".join(label for label, _ in known))


def environment_lines(environment: Mapping[str, object] | None) -> str:
    """Describe the client's machine, one line per fact; of the first three, what it did not declare is unknown."""
    known = environment or {}
    facts = {"os": "Operating system", "shell": "Shell", "workspace_root": "Workspace root"}
    lines = [f"- {title}: {_fact(known.get(key)) or 'unknown'}" for key, title in facts.items()]
    if isinstance(known.get("has_git"), bool):
        branch = _fact(known.get("git_branch"))
        lines.append(f"- Git repository: {f'yes, on branch {branch}' if branch else _yes_or_no(known['has_git'])}")
        lines += _git_lines(known.get("git_state"))
    if date := _fact(known.get("date")):
        lines.append(f"- Date: {date}")
    return "\n".join(lines)


def _git_lines(state: object) -> list[str]:
    """Describe the repository as it was when the conversation began, one line per fact that was declared."""
    if not isinstance(state, Mapping):
        return []
    counts = {name: state.get(name) for name in ("staged", "modified", "conflicted", "untracked")}
    files = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [f"- Git work tree at the start: {files or 'clean'}"] if None not in counts.values() else []
    ahead, behind, upstream = (state.get(name) for name in ("ahead", "behind", "upstream"))
    if isinstance(ahead, int) and isinstance(behind, int):
        lines.append(f"- Commits at the start: {ahead} ahead of {_fact(upstream) or 'the upstream'}, {behind} behind")
    return lines


def _fact(value: object) -> str:
    """One line of bounded length: names of folders and branches come from whoever made the repository."""
    return " ".join(value.split())[:_MAX_FACT_CHARS] if isinstance(value, str) else ""


def _yes_or_no(value: object) -> str:
    return "yes" if value else "no"


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {' '.join(text.split())}" for name, text in pairs)


def _result_blocks(results: object) -> str:
    blocks = [
        f"### {item.get('description') or 'Step'}\n{item.get('result') or 'No result.'}"
        for item in (results if isinstance(results, (list, tuple)) else ())
        if isinstance(item, Mapping)
    ]
    return "\n\n".join(blocks) or "None: this step depends on no other."


def _exists(name: str) -> bool:
    return name in _sources or (_FOLDER / f"{name}.md").is_file()


def _source(name: str, *, reload: bool) -> _Source:
    """Read a prompt file at its first use, and again on `reload` when its time of change differs."""
    cached = _sources.get(name)
    if cached is not None and not reload:
        return cached
    path = _FOLDER / f"{name}.md"
    try:
        changed_ns = path.stat().st_mtime_ns
        if cached is not None and cached.changed_ns == changed_ns:
            return cached
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"There is no prompt file prompts/{name}.md: add it or correct the name.") from error
    _sources[name] = _read(name, text, changed_ns)
    return _sources[name]


def _read(name: str, text: str, changed_ns: int) -> _Source:
    template = Template(text)
    if not template.is_valid():
        raise ConfigurationError(
            f"prompts/{name}.md has a '$' that starts no variable: write '$$' for the sign itself."
        )
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return _Source(template, frozenset(template.get_identifiers()), digest, changed_ns)
