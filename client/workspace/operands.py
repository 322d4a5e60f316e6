"""The operands of a command that runs without approval: those that lead through a link are concerns."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.workspace.folder import Located, Workspace
from client.workspace.request import Concern, ToolRequest
from client.workspace.walk import Extent, walk
from policy.paths.classes import family_of
from policy.shell.command import examine
from policy.shell.operands import Place

MAX_EXPANDED = 20_000
"""Names that are looked at for one command; a longer walk asks."""

# Programs that follow links while they walk a folder; an empty set means with or without an option.
_FOLLOWERS: Mapping[str, frozenset[str]] = {
    "diff": frozenset(),
    "grep": frozenset({"R", "--dereference-recursive"}),
    "egrep": frozenset({"R", "--dereference-recursive"}),
    "fgrep": frozenset({"R", "--dereference-recursive"}),
    "rg": frozenset({"L", "--follow"}),
    "ls": frozenset({"L", "--dereference"}),
    "du": frozenset({"L", "--dereference"}),
    "tree": frozenset({"l"}),
    "find": frozenset({"L", "-follow"}),
}
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SimpleCommand:
    """One program with its words, and the folder in which it starts."""

    argv: tuple[str, ...]
    folder: tuple[str, ...]
    globs: frozenset[int] = frozenset()
    """The words that the shell expands."""


class _TooMany(Exception):
    """More names than are looked at."""


def commands_of(request: ToolRequest, folder: Located) -> tuple[SimpleCommand, ...] | None:
    """Take the command apart as it will run; None when it cannot be read."""
    argv = (request.execution or {}).get("argv")
    if argv:
        return tuple(
            SimpleCommand(tuple(str(word) for word in words), folder.parts) for pipeline in argv for words in pipeline
        )
    examination = examine(str(request.arguments["command"]), Place(folder.parts), "bash")
    if examination.unproven is not None:
        return None
    return tuple(
        SimpleCommand(
            finding.stage.argv,
            finding.place.components,
            frozenset(number for number, word in enumerate(finding.stage.words) if word.is_glob),
        )
        for finding in examination.findings
    )


def link_concerns(workspace: Workspace, commands: Sequence[SimpleCommand]) -> tuple[Concern, ...]:
    """Say which operands lead through a link, written out, matched by a wildcard, or met in a folder."""
    found: dict[str, Concern] = {}
    try:
        left = [MAX_EXPANDED]
        for command in commands:
            for path in _links_of(workspace, command, left):
                concern = _concern(workspace, path)
                found.setdefault(concern.text, concern)
    except _TooMany:
        text = f"The command names more than {MAX_EXPANDED} files; they cannot all be checked for links."
        found[text] = Concern(text)
    return tuple(found.values())


def _links_of(workspace: Workspace, command: SimpleCommand, left: list[int]) -> Iterator[Path]:
    base = workspace.root.joinpath(*command.folder)
    folders: list[Path] = []
    for number, word in enumerate(command.argv[1:], start=1):
        paths = _expanded(base, word, left) if number in command.globs else _named(workspace.root, base, word)
        for path in paths:
            link = _first_link(workspace.root, path)
            if link is not None:
                yield link
            elif path.is_dir():
                folders.append(path)
    if _follows(command.argv):
        # Which operand is a pattern is not known here, so the folder where the search starts counts as named.
        for folder in folders if command.argv[0] == "diff" else {base, *folders}:
            yield from _links_below(workspace, folder, left)


def _named(root: Path, base: Path, word: str) -> Iterator[Path]:
    """Yield every path of the workspace that a word may stand for: itself, an option's value, a part at a colon."""
    texts = {word, word.partition("=")[2], *word.split(":")}
    if re.match(r"-[A-Za-z]", word):
        texts.add(word[2:])
    for text in texts - {""}:
        if "\0" in text:
            continue
        path = Path(os.path.normpath(base / text))
        if path == root or root in path.parents:
            yield path


def _expanded(base: Path, word: str, left: list[int]) -> Iterator[Path]:
    """Yield what the shell puts in place of a wildcard; a bracket stands for any character."""
    pattern = re.sub(r"\[[^\]]*\]?", "?", word)
    reached = [base]
    for part in pattern.split("/"):
        if part in {"", "."}:
            continue
        reached = [path / name for path in reached for name in _matching(path, part, left)]
    yield from reached


def _matching(folder: Path, pattern: str, left: list[int]) -> list[str]:
    if not _GLOB.search(pattern):
        return [pattern] if os.path.lexists(folder / pattern) else []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    _spend(left, len(names))
    return [
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
    ]


def _first_link(root: Path, path: Path) -> Path | None:
    """Return the first component below the workspace that is a link, None where there is none."""
    step = root
    for part in path.relative_to(root).parts:
        step /= part
        try:
            if stat.S_ISLNK(os.lstat(step).st_mode):
                return step
        except OSError:
            return None
    return None


def _follows(argv: Sequence[str]) -> bool:
    options = _FOLLOWERS.get(argv[0])
    if options is None or "--no-dereference" in argv:
        return False
    letters = {option for option in options if len(option) == 1}
    given = [word for word in argv[1:] if word.startswith("-")]
    in_cluster = any(letters & set(word[1:]) for word in given if not word.startswith("--"))
    return not options or in_cluster or any(word in options for word in given)


def _links_below(workspace: Workspace, folder: Path, left: list[int]) -> Iterator[Path]:
    located = workspace.locate(str(folder))
    for entry in walk(workspace, located, Extent(noise=frozenset())):
        _spend(left, 1)
        if entry.is_link:
            yield folder.joinpath(*entry.parts)


def _spend(left: list[int], count: int) -> None:
    left[0] -= count
    if left[0] < 0:
        raise _TooMany


def _concern(workspace: Workspace, link: Path) -> Concern:
    name = link.relative_to(workspace.root).as_posix()
    target = Path(os.path.realpath(link))
    if target != workspace.root and workspace.root not in target.parents:
        return Concern(f"'{name}' is a link that leads out of the workspace.", "high")
    named = target.relative_to(workspace.root)
    family = family_of(named.parts, "read")
    if family.read != "allow":
        return Concern(f"'{name}' is a link and names '{named.as_posix()}', which is {family.what}.", "high")
    return Concern(f"'{name}' is a link and names '{named.as_posix()}'.")
