"""The operands of a command: which words are clean relative paths, and which ones lead outside or to a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policy.paths.canonical import relativised
from policy.paths.classes import alternatives, family_of, wildcard_may_meet_secret
from policy.paths.globs import component_matches
from policy.shell.lexer import Word
from policy.verdicts.characters import is_control
from policy.verdicts.unproven import Unproven

_DRIVE = re.compile(r"[A-Za-z]:")
_SHORT_NAME = re.compile(r"[^~]{1,6}~\d")
_WILDCARD = re.compile(r"[*?\[]")
_EXCLUDED = re.compile(r":(?:[!^]|\(exclude\))")
_STAGE = re.compile(r":[0-3]:")


@dataclass(frozen=True)
class Place:
    """Where a command runs: the directory below the workspace, as components."""

    components: tuple[str, ...] = ()
    root: str | None = None
    """The declared `workspace_root`: an absolute path below it is a path of the workspace."""

    def below(self, directory: str) -> Place:
        """Return the place after `cd directory`."""
        base, value = self.resolved(directory)
        parts = (part for part in value.split("/") if part not in {"", "."})
        return replace(self, components=(*base.components, *parts))

    def resolved(self, value: str) -> tuple[Place, str]:
        """Return an operand as a relative path, and the place that it is relative to."""
        relative = relativised(value, self.root) if value.startswith("/") and "\\" not in value else value
        return (self, value) if relative == value else (replace(self, components=()), relative)


def check_path(word: Word, value: str, place: Place, *, reads_content: bool = True) -> None:
    """Raise a Unproven unless a value is a relative path inside the workspace that names no secret."""
    if value == "-":
        return
    place, value = place.resolved(value)
    _check_shape(word, value)
    if value.startswith("@"):
        raise Unproven("command.operand", "Some programs read their arguments from a file named behind @", word.span)
    if ":" in value:
        raise Unproven("command.operand", "A colon in a path names a drive, a host or a data stream", word.span)
    if any(_SHORT_NAME.match(part) for part in value.split("/")):
        raise Unproven("command.operand", "A path component looks like a short name of Windows", word.span)
    _check_class(word, value, place)
    if word.is_glob:
        _check_shell_wildcards(word, value.split("/"), reads_content)


def check_revision(word: Word, value: str, place: Place) -> None:
    """Raise a Unproven unless a value is a git revision, a path, or `rev:path` with a clean path after the colon."""
    if excluded := _EXCLUDED.match(value):
        value = value[excluded.end() :]
    elif stage := _STAGE.match(value):
        value = value[stage.end() :]
    elif value.startswith(":"):
        value = value[1:]
        if value.startswith(("/", "(", ":")):
            raise Unproven("command.operand", "This pathspec of git may reach outside the workspace", word.span)
    for part in value.split(":"):
        base, path = place.resolved(part)
        _check_shape(word, path)
        _check_class(word, path, base)
        _check_wildcards(word, path.split("/"))


def check_range(word: Word, value: str, place: Place) -> None:
    """Check the file of a `-L start,end:file`; a bare range of lines has none."""
    if ":" in value:
        check_path(word, value.rsplit(":", 1)[1], place)


def check_pattern(word: Word, value: str) -> None:
    """Raise a Unproven for a glob of file names that picks out secrets or leads outside."""
    if ".." in value.split("/"):
        raise Unproven("command.outside", "A .. component leads out of the workspace", word.span, lasting=True)
    if picks_secrets(value):
        raise Unproven(
            "command.secret", "This pattern may pick out a file with secrets", word.span, "high", lasting=True
        )


def picks_secrets(pattern: str) -> bool:
    """Say whether a glob of file names selects secrets; a bare `*` or `*.*` selects everything and counts as neutral.

    Braces are written out, and a backslash may be an escape or a separator: both readings count.
    """
    readings = {pattern, pattern.replace("\\", ""), pattern.replace("\\", "/")}
    written = [alternatives(reading) for reading in readings]
    return any(found is None or any(_aims_at_secret(glob) for glob in found) for found in written)


def _aims_at_secret(glob: str) -> bool:
    parts = [part for part in glob.split("/") if part]
    if family_of(parts, "read").read != "allow":
        return True
    return any(
        bool(_WILDCARD.search(part))
        and bool(part.strip("*?.") or (part.startswith(".") and part.strip(".")))
        and wildcard_may_meet_secret(part)
        for part in parts
    )


def check_text(word: Word, place: Place) -> None:
    """A word that is only text may hold anything, unless a wildcard in it is expanded to file names."""
    if word.is_glob:
        check_path(word, word.value, place)


def outside_or_secret(value: str, place: Place) -> bool:
    """Say whether a word of any program, or what follows its `=`, leads outside the workspace or to a secret."""
    for part in {value, value.partition("=")[2]} - {""}:
        word = Word(part, part, 0, len(part))
        try:
            base, path = place.resolved(part)
            _check_shape(word, path)
            for piece in path.split(":"):
                _check_class(word, piece, base)
                _check_wildcards(word, piece.split("/"))
        except Unproven as unproven:
            if unproven.lasting:
                return True
    return False


def _check_shape(word: Word, value: str) -> None:
    if not value:
        raise Unproven("command.operand", "An empty operand", word.span)
    if value.startswith(("/", "~")) or _DRIVE.match(value) or "\\" in value:
        text = "An absolute path or a path with a backslash may lead out of the workspace"
        raise Unproven("command.outside", text, word.span, lasting=True)
    if ".." in value.split("/"):
        raise Unproven("command.outside", "A .. component leads out of the workspace", word.span, lasting=True)
    if any(is_control(character) for character in value):
        raise Unproven("command.operand", "A path with a control character", word.span)


def _check_class(word: Word, value: str, place: Place) -> None:
    parts = [part for part in value.split("/") if part not in {"", "."}]
    family = family_of((*place.components, *parts), "read")
    if family.read != "allow":
        raise Unproven("command.secret", f"'{value}' is {family.what}", word.span, "high", lasting=True)


def _check_shell_wildcards(word: Word, parts: Sequence[str], reads_content: bool) -> None:
    """The shell's `*` never stands for a leading dot, so a directory is only at risk where the dot is written."""
    for number, part in enumerate(parts, start=1):
        if part.startswith(".") or (reads_content and number == len(parts)):
            _check_wildcards(word, [part])


def _check_wildcards(word: Word, parts: Sequence[str]) -> None:
    for part in parts:
        if not _WILDCARD.search(part):
            continue
        if part.startswith(".") and component_matches(re.sub(r"\[[^\]]*\]?", "?", part), ".."):
            raise Unproven("command.outside", "This wildcard also stands for ..", word.span, lasting=True)
        if wildcard_may_meet_secret(part):
            text = "This wildcard may stand for a file with secrets"
            raise Unproven("command.secret", text, word.span, "high", lasting=True)
