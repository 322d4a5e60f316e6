"""May this command line run without asking: each segment proved by the read-only list, or the doubt that it leaves."""

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
from policy.shell.hard_deny import catastrophe_in
from policy.shell.lexer import Word
from policy.shell.operands import Place, outside_or_secret
from policy.shell.parser import Stage, read_line
from policy.shell.readonly import ReadCommand, command_of
from policy.verdicts.facts import POSIX_SHELLS, Profile
from policy.verdicts.unproven import Doubt
from policy.verdicts.verdict import Danger, Reason, Segment, Verdict, highest

_BARE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*")
_ANY_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Finding:
    """One segment and what keeps it from being proved; no doubt means that it only reads."""

    stage: Stage
    place: Place
    doubt: Doubt | None = None
    leads_outside: bool = False
    """A word of the segment names a secret or a place outside the workspace: no grant covers it."""


@dataclass(frozen=True)
class _Setting:
    """What is the same for every segment of a line."""

    shell: str | None
    profile: Profile
    has_git: bool | None


@dataclass(frozen=True)
class Examination:
    """What is known about a whole line."""

    command: str
    root: str | None = None
    findings: tuple[Finding, ...] = ()
    doubt: Doubt | None = None
    """A doubt about the line as a whole; then no grant helps."""
    catastrophe: str | None = None


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
    except Doubt as doubt:
        return Examination(command, start.root, doubt=doubt, catastrophe=catastrophe_in(command, None))
    catastrophe = catastrophe_in(command, [stage.argv for stage in stages])
    findings = _findings(stages, start, _Setting(shell, profile, has_git))
    return Examination(command, start.root, findings, _line_doubt(stages, shell), catastrophe)


def classify(command: str, cwd: str | None = None, shell: str | None = None, profile: Profile = "standard") -> Verdict:
    """Judge a command by the built-in list alone: no rules, no session grants. `cwd` is a canonical path."""
    place = Place().below(cwd or ".")
    examination = examine(command, place, shell, profile)
    if examination.catastrophe:
        reason = Reason("command.catastrophic", f"Command is not allowed: {examination.catastrophe}")
        return Verdict("deny", "high", (reason,), segments=segments_of(examination, "deny"))
    reasons = reasons_of(examination)
    if reasons:
        return Verdict("ask", harm_of(examination), reasons, segments=segments_of(examination, "ask"))
    return Verdict("allow", "low", segments=segments_of(examination, "allow"))


def harm_of(examination: Examination) -> Danger:
    """Return the danger of a line that asks: what it could do, or what its doubts say about its words."""
    doubts = [doubt for doubt in (examination.doubt, *(f.doubt for f in examination.findings)) if doubt]
    return highest([danger_of(examination.command, examination.root), *(doubt.danger for doubt in doubts)])


def reasons_of(examination: Examination) -> tuple[Reason, ...]:
    """Return every doubt as a reason, the line's own first."""
    reasons = []
    if examination.doubt:
        reasons.append(reason_of(examination.doubt))
    reasons += [
        reason_of(finding.doubt, number) for number, finding in enumerate(examination.findings) if finding.doubt
    ]
    return tuple(reasons)


def reason_of(doubt: Doubt, segment: int | None = None) -> Reason:
    """Turn a doubt into a reason."""
    return Reason(doubt.code, doubt.text, doubt.span, segment)


def segments_of(examination: Examination, decision: str) -> tuple[Segment, ...]:
    """Return the segments with the built-in list's own word on each."""
    if decision == "deny":
        return tuple(Segment(finding.stage.argv, "deny") for finding in examination.findings)
    asks = examination.doubt is not None
    return tuple(
        Segment(finding.stage.argv, "ask" if asks or finding.doubt else "allow") for finding in examination.findings
    )


def _line_doubt(stages: Sequence[Stage], shell: str | None) -> Doubt | None:
    if shell is None:
        return Doubt("shell.undeclared", "The client did not say which shell runs the command")
    if shell not in POSIX_SHELLS:
        return Doubt("shell.unsupported", f"Commands for the shell '{shell[:40]}' cannot be proved")
    if shell in {"sh", "dash"} and any("&>/dev/null" in stage.redirects for stage in stages):
        return Doubt("shell.background", "In this shell &> runs the command in the background")
    return None


def _findings(stages: Sequence[Stage], start: Place, setting: _Setting) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    place, has_moved = start, bool(start.components)
    by_shell = needs_shell(stages)
    for stage in stages:
        doubt = _doubt_of(stage, place, has_moved, setting)
        if doubt is None and by_shell and (additions := additions_of(stage)).are_required:
            text = f"It reads only with {additions.words[0]}, which cannot be added to a line that needs a shell"
            doubt = Doubt("command.option", text, stage.words[0].span)
        outside = doubt is not None and any(outside_or_secret(word.value, place) for word in stage.words[1:])
        findings.append(Finding(stage, place, doubt, leads_outside=outside))
        if stage.argv[0] in {"cd", "pushd", "popd", "chdir"}:
            has_moved = True
            place = place.below(stage.argv[1]) if doubt is None else place
    return tuple(findings)


def _doubt_of(stage: Stage, place: Place, has_moved: bool, setting: _Setting) -> Doubt | None:
    try:
        _check(stage.words, place, has_moved, setting)
    except Doubt as doubt:
        return doubt.at(stage.words[0].span)
    return None


def _check(words: Sequence[Word], place: Place, has_moved: bool, setting: _Setting) -> None:
    name = words[0]
    if name.raw != "[" and (name.raw != name.value or not _BARE_NAME.fullmatch(name.raw)):
        known = ALWAYS_ASK.get(name.value.rpartition("/")[2])
        if known and known.is_lasting:
            raise Doubt(known.code, f"{name.value} {known.text}", name.span, lasting=True)
        text = "Only a bare program name can be proved, not a path, a quoted or an unusual name"
        raise Doubt("shell.name", text, name.span, lasting=not _ANY_NAME.fullmatch(name.raw))
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
    """Signs that mean something only to one program: `!` and `\\(` to find, `=` to test, `@{u}` to git."""
    for word in arguments:
        if word.raw in {"!", "!="} and command.form not in {"find", "test", "bracket"}:
            raise Doubt("shell.history", "A lone ! is history expansion or a negation", word.span)
        if word.raw in {"\\(", "\\)", "\\!"} and command.form != "find":
            raise Doubt("shell.backslash", "An unquoted backslash hides what the shell runs", word.span)
        if word.raw in {"=", "=="} and (command.form not in {"test", "bracket"} or (shell, word.raw) == ("zsh", "==")):
            raise Doubt("shell.expansion", "A leading = is expanded by zsh", word.span)
        if word.has_braces and not command.name.startswith("git "):
            raise Doubt("shell.brace", "Braces are expanded by the shell", word.span)


def _check_git(name: Word, has_moved: bool, setting: _Setting) -> None:
    if has_moved:
        text = "In another directory git may trust the configuration of another repository"
        raise Doubt("command.git_directory", text, name.span)
    if setting.has_git is False:
        text = "The workspace is no git repository, so git would read one above it"
        raise Doubt("command.git_directory", text, name.span)
    if setting.profile == "strict":
        raise Doubt("command.strict", "The strict profile asks before git reads", name.span)


def _unknown(words: Sequence[Word]) -> Doubt:
    name = words[0].value
    if name == "git":
        return _unknown_git(words)
    family = ALWAYS_ASK.get(name)
    if family is not None:
        return Doubt(family.code, f"{name} {family.text}", words[0].span, lasting=family.is_lasting)
    return Doubt("command.unknown", f"{name} is not on the list of commands that only read", words[0].span)


_GIT_NETWORK = frozenset(
    ["fetch", "pull", "push", "clone", "ls-remote", "remote", "submodule", "send-email", "svn", "p4", "archive"]
)


def _unknown_git(words: Sequence[Word]) -> Doubt:
    if len(words) == 1:
        return Doubt("command.unknown", "git without a subcommand", words[0].span)
    sub = words[1]
    if sub.value.startswith("-"):
        text = "An option before git's subcommand can start a program or choose another repository"
        return Doubt("command.option", text, sub.span, lasting=True)
    if sub.value in _GIT_NETWORK:
        return Doubt("command.network", f"git {sub.value} talks to another repository", sub.span)
    return Doubt("command.git_write", f"git {sub.value} is not known to only read", sub.span)
