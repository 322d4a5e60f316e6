"""Whether a command line may run without approval: each segment proved by the read-only list, or why it is unproven."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from policy.shell.additions import additions_of
from policy.shell.always_ask import ALWAYS_ASK
from policy.shell.danger.line import danger_of
from policy.shell.execution import needs_shell
from policy.shell.forms.catalog import FORMS
from policy.shell.forms.plain import check_version
from policy.shell.hard_deny import hard_deny_in
from policy.shell.lexer import Word
from policy.shell.operands import Place, outside_or_secret
from policy.shell.parser import Stage, read_line
from policy.shell.readonly import ReadCommand, command_of
from policy.verdicts.facts import POSIX_SHELLS, Profile
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import Danger, Reason, Segment, Verdict, highest

_BARE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*")
_ANY_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Finding:
    """One segment and what keeps it from being proved; None means that it only reads."""

    stage: Stage
    place: Place
    unproven: Unproven | None = None
    leads_outside: bool = False
    """A word of the segment names a secret or a place outside the workspace: no grant covers it."""


@dataclass(frozen=True)
class _Setting:
    """The parameters that all segments of a line share."""

    shell: str | None
    profile: Profile
    has_git: bool | None


@dataclass(frozen=True)
class Examination:
    """The result of examining a whole line."""

    command: str
    root: str | None = None
    findings: tuple[Finding, ...] = ()
    unproven: Unproven | None = None
    """What is unproven about the line as a whole; then no grant helps."""
    hard_deny: str | None = None


def examine(
    command: str,
    place: Place | None = None,
    shell: str | None = None,
    profile: Profile = "standard",
    *,
    has_git: bool | None = None,
) -> Examination:
    """Take a command line apart and look at each segment; `has_git` is what the client says of its workspace."""
    start = place or Place()
    try:
        stages = read_line(command)
    except Unproven as unproven:
        return Examination(command, start.root, unproven=unproven, hard_deny=hard_deny_in(command, None))
    hard_deny = hard_deny_in(command, [stage.argv for stage in stages])
    findings = _findings(stages, start, _Setting(shell, profile, has_git))
    return Examination(command, start.root, findings, _line_unproven(stages, shell), hard_deny)


def classify(command: str, cwd: str | None = None, shell: str | None = None, profile: Profile = "standard") -> Verdict:
    """Judge a command by the built-in list alone: no rules, no session grants. `cwd` is a canonical path."""
    place = Place().below(cwd or ".")
    examination = examine(command, place, shell, profile)
    if examination.hard_deny:
        reason = Reason("command.catastrophic", f"Command is not allowed: {examination.hard_deny}")
        return Verdict("deny", "high", (reason,), segments=segments_of(examination, "deny"))
    reasons = reasons_of(examination)
    if reasons:
        return Verdict("ask", harm_of(examination), reasons, segments=segments_of(examination, "ask"))
    return Verdict("allow", "low", segments=segments_of(examination, "allow"))


def harm_of(examination: Examination) -> Danger:
    """Return the danger of a line that asks: what it could do, or what is unproven about its words."""
    parts = (examination.unproven, *(finding.unproven for finding in examination.findings))
    return highest([danger_of(examination.command, examination.root), *(part.danger for part in parts if part)])


def reasons_of(examination: Examination) -> tuple[Reason, ...]:
    """Return everything unproven as reasons, those of the whole line first."""
    reasons = []
    if examination.unproven:
        reasons.append(reason_of(examination.unproven))
    reasons += [
        reason_of(finding.unproven, number) for number, finding in enumerate(examination.findings) if finding.unproven
    ]
    return tuple(reasons)


def reason_of(unproven: Unproven, segment: int | None = None) -> Reason:
    """Turn what is unproven into a reason."""
    return Reason(unproven.code, unproven.text, unproven.span, segment)


def segments_of(examination: Examination, decision: str) -> tuple[Segment, ...]:
    """Return the segments with the built-in list's decision on each."""
    if decision == "deny":
        return tuple(Segment(finding.stage.argv, "deny") for finding in examination.findings)
    asks = examination.unproven is not None
    return tuple(
        Segment(finding.stage.argv, "ask" if asks or finding.unproven else "allow") for finding in examination.findings
    )


def _line_unproven(stages: Sequence[Stage], shell: str | None) -> Unproven | None:
    if shell is None:
        return Unproven("shell.undeclared", "The client did not say which shell runs the command")
    if shell not in POSIX_SHELLS:
        return Unproven("shell.unsupported", f"Commands for the shell '{shell[:40]}' cannot be proved")
    if shell in {"sh", "dash"} and any("&>/dev/null" in stage.redirects for stage in stages):
        return Unproven("shell.background", "In this shell &> runs the command in the background")
    return None


def _findings(stages: Sequence[Stage], start: Place, setting: _Setting) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    place, has_moved = start, bool(start.components)
    by_shell = needs_shell(stages)
    for stage in stages:
        unproven = _unproven_of(stage, place, has_moved, setting)
        if unproven is None and by_shell and (additions := additions_of(stage)).are_required:
            text = f"It reads only with {additions.words[0]}, which cannot be added to a line that needs a shell"
            danger: Danger = "high" if stage.argv[0] == "diff" else "normal"
            unproven = Unproven("command.option", text, stage.words[0].span, danger)
        outside = unproven is not None and any(outside_or_secret(word.value, place) for word in stage.words[1:])
        findings.append(Finding(stage, place, unproven, leads_outside=outside))
        if stage.argv[0] in {"cd", "pushd", "popd", "chdir"}:
            has_moved = True
            place = place.below(stage.argv[1]) if unproven is None else place
    return tuple(findings)


def _unproven_of(stage: Stage, place: Place, has_moved: bool, setting: _Setting) -> Unproven | None:
    try:
        _check(stage.words, place, has_moved, setting)
    except Unproven as unproven:
        return unproven.at(stage.words[0].span)
    return None


def _check(words: Sequence[Word], place: Place, has_moved: bool, setting: _Setting) -> None:
    name = words[0]
    if name.raw != "[" and (name.raw != name.value or not _BARE_NAME.fullmatch(name.raw)):
        known = ALWAYS_ASK.get(name.value.rpartition("/")[2])
        if known and known.is_lasting:
            raise Unproven(known.code, f"{name.value} {known.text}", name.span, lasting=True)
        text = "Only a bare program name can be proved, not a path, a quoted or an unusual name"
        raise Unproven("shell.name", text, name.span, lasting=not _ANY_NAME.fullmatch(name.raw))
    found = command_of(words)
    if found is None:
        raise _unknown(words)
    command, taken = found
    arguments = words[taken:]
    _check_marks(command, arguments, setting.shell)
    if command.form == "version":
        if len(arguments) != 1 or arguments[0].value != "--version":
            raise _unknown(words)
        check_version(command.name, arguments)
    elif command.name.startswith("git "):
        _check_git(name, has_moved, setting)
        command.check(arguments, place)
    elif command.form:
        FORMS[command.form](arguments, place)
    else:
        command.check(arguments, place)


def _check_marks(command: ReadCommand, arguments: Sequence[Word], shell: str | None) -> None:
    """Check characters that only one program interprets: `!` and `\\(` to find, `=` to test, `@{u}` to git."""
    for word in arguments:
        if word.raw in {"!", "!="} and command.form not in {"find", "test", "bracket"}:
            raise Unproven("shell.history", "A lone ! is history expansion or a negation", word.span)
        if word.raw in {"\\(", "\\)", "\\!"} and command.form != "find":
            raise Unproven("shell.backslash", "An unquoted backslash hides what the shell runs", word.span)
        if word.raw in {"=", "=="} and (command.form not in {"test", "bracket"} or (shell, word.raw) == ("zsh", "==")):
            raise Unproven("shell.expansion", "A leading = is expanded by zsh", word.span)
        if word.has_braces and not command.name.startswith("git "):
            raise Unproven("shell.brace", "Braces are expanded by the shell", word.span)


def _check_git(name: Word, has_moved: bool, setting: _Setting) -> None:
    if has_moved:
        text = "In another directory git may trust the configuration of another repository"
        raise Unproven("command.git_directory", text, name.span)
    if setting.has_git is False:
        text = "The workspace is no git repository, so git would read one above it"
        raise Unproven("command.git_directory", text, name.span)
    if setting.profile == "strict":
        raise Unproven("command.strict", "The strict profile asks before git reads", name.span)


def _unknown(words: Sequence[Word]) -> Unproven:
    name = words[0].value
    if name == "git":
        return _unknown_git(words)
    family = ALWAYS_ASK.get(name)
    if family is not None:
        return Unproven(family.code, f"{name} {family.text}", words[0].span, lasting=family.is_lasting)
    return Unproven("command.unknown", f"{name} is not on the list of commands that only read", words[0].span)


_GIT_NETWORK = frozenset(
    ["fetch", "pull", "push", "clone", "ls-remote", "remote", "submodule", "send-email", "svn", "p4", "archive"]
)


def _unknown_git(words: Sequence[Word]) -> Unproven:
    if len(words) == 1:
        return Unproven("command.unknown", "git without a subcommand", words[0].span)
    sub = words[1]
    if sub.value.startswith("-"):
        text = "An option before git's subcommand can start a program or choose another repository"
        return Unproven("command.option", text, sub.span, lasting=True)
    if sub.value in _GIT_NETWORK:
        return Unproven("command.network", f"git {sub.value} talks to another repository", sub.span)
    return Unproven("command.git_write", f"git {sub.value} is not known to only read", sub.span)
