"""What a repository's own configuration may start under a git command that only reads (docs/threat-model.md)."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from client.workspace.folder import Workspace
from client.workspace.operands import SimpleCommand
from client.workspace.request import Concern

READ_TIMEOUT_S = 5
MAX_NAMES = 100_000
_UNREAD = frozenset({"hooks", "modules", "lfs", "annex"})
"""Parts of .git that no command of the read-only list looks into: submodules are not entered."""

# Keys of a repository that start nothing and lead nowhere. Whatever is not here asks: git has new ones every year.
_INERT = re.compile(
    r"core\.(?:repositoryformatversion|filemode|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol"
    r"|safecrlf|quotepath|abbrev|sparsecheckout|sparsecheckoutcone|untrackedcache|preloadindex|commitgraph"
    r"|multipackindex|trustctime|checkstat|protecthfs|protectntfs|longpaths|compression|bigfilethreshold)"
    r"|extensions\.(?:objectformat|worktreeconfig|refstorage)"
    r"|remote\..*\.(?:url|pushurl|fetch|push|mirror|prune|tagopt|gh-resolved)"
    r"|branch\..*|user\.(?:name|email|signingkey|useconfigonly)|(?:author|committer)\.(?:name|email)"
    r"|(?:color|column|advice|push|pull|fetch|rebase|pack|gc|index|feature|init|i18n|receive|transfer|rerere"
    r"|tag|stash|grep|versionsort|commitgraph|checkout|merge)\.[a-z0-9]*"
    r"|status\.(?:branch|short|aheadbehind|displaycommentprefix|relativepaths|showstash|showuntrackedfiles|renames)"
    r"|color\..*|submodule\..*\.(?:url|active|branch)|submodule\.active"
    r"|diff\.(?:algorithm|renames|renamelimit|colormoved|colormovedws|context|interhunkcontext|mnemonicprefix|noprefix"
    r"|wordregex|indentheuristic|relative|statgraphwidth)"
    r"|log\.(?:date|decorate|abbrevcommit|follow|graphcolors|mailmap|initialdecorationset|excludedecoration)"
)


def git_concerns(
    workspace: Workspace, commands: Sequence[SimpleCommand], environment: Mapping[str, str], *, is_held: bool
) -> tuple[Concern, ...]:
    """Say why a git command may not run without approval; `is_held`: a sandbox confines the programs it starts."""
    found: dict[Concern, None] = {}
    for command in commands:
        if command.argv[0] != "git" or command.argv[1:] == ("--version",):
            continue
        folder = workspace.root.joinpath(*command.folder)
        concern = _repository_concern(workspace.root, folder)
        if concern is None and not is_held:
            concern = _configuration_concern(folder, environment)
        if concern is not None:
            found[concern] = None
    return tuple(found)


def _repository_concern(root: Path, folder: Path) -> Concern | None:
    """The repository must be a folder `.git` of the workspace: git would trust another one, or one made of files."""
    for place in (folder, *folder.parents):
        if place != root and root not in place.parents:
            break
        if _is_bare(place):
            return Concern("This folder looks like a repository without a work tree, whose files steer git.", "high")
        own = place / ".git"
        if not os.path.lexists(own):
            continue
        if not stat.S_ISDIR(os.lstat(own).st_mode):
            return Concern("The .git of this folder is a file or a link: the repository lies elsewhere.")
        for name in ("commondir", "objects/info/alternates", "config.worktree"):
            if os.path.lexists(own / name):
                return Concern(f"The repository reads a further place or configuration (.git/{name}).")
        return _link_concern(own)
    return Concern("The workspace holds no repository of its own; git would use one of the folders above it.")


def _link_concern(own: Path) -> Concern | None:
    """A link in .git leads git to objects, names or settings of another place; of hooks no read takes notice."""
    left = MAX_NAMES
    for folder, names, files in os.walk(own):
        if Path(folder) == own:
            names[:] = [name for name in names if name not in _UNREAD]
        left -= len(names) + len(files)
        if left < 0:
            return Concern(f"The repository has more than {MAX_NAMES} files; they cannot all be checked for links.")
        link = next((name for name in (*names, *files) if os.path.islink(os.path.join(folder, name))), None)
        if link is not None and link not in _UNREAD:
            place = Path(folder, link).relative_to(own.parent).as_posix()
            return Concern(f"A part of .git is a link ({place}): the repository lies elsewhere.")
    return None


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _configuration_concern(folder: Path, environment: Mapping[str, str]) -> Concern | None:
    command = ["git", "config", "--list", "--includes", "--show-scope", "-z"]
    try:
        listed = subprocess.run(  # noqa: S603 lists only, and starts no program of the configuration
            command, cwd=folder, env=dict(environment), capture_output=True, timeout=READ_TIMEOUT_S, check=True
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return Concern("The configuration of the repository cannot be read.", "high")
    parts = listed.split("\0")
    keys = [
        entry.partition("\n")[0]
        for scope, entry in zip(parts[::2], parts[1::2], strict=False)
        if scope in {"local", "worktree"} and not _is_inert(*entry.partition("\n")[::2])
    ]
    if not keys:
        return None
    names = ", ".join(dict.fromkeys(keys))
    return Concern(f"The configuration of the repository may start programs or lead elsewhere: {names[:200]}.", "high")


def _is_inert(key: str, value: str) -> bool:
    folded = key.lower()
    if folded == "core.bare":
        return value.lower() in {"false", "no", "off", "0"}
    return bool(_INERT.fullmatch(folded))
