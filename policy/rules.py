"""Rules as data: read from TOML and checked against their own examples when they are loaded."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from errors import ConfigurationError
from policy.paths import classes as path_classes
from policy.paths.canonical import canonicalise
from policy.paths.globs import check_glob, glob_matches
from policy.rule_file import Example, ProjectRule, RuleFile, WrittenRule
from policy.shell import always_ask
from policy.shell.command import Finding, examine
from policy.shell.danger.words import DANGER_TEXT
from policy.shell.readonly import COMMANDS_TEXT, READ_COMMANDS
from policy.verdicts.facts import Profile
from policy.verdicts.sanitize import clean_result
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import Decision
from tools.catalog import BY_NAME, TOOLS
from tools.tool import PathKind, Tool

CODE_VERSION = 2
"""Increase it when the code judges differently although no table changed."""

COMMAND_TOOLS = frozenset(tool.name for tool in TOOLS if tool.command is not None)


@dataclass(frozen=True)
class Rule:
    """One rule, ready to be matched against parsed words or a canonical path."""

    id: str
    tools: frozenset[str]
    decision: Decision
    why: str
    paths: tuple[str, ...] = ()
    command: tuple[frozenset[str], ...] = ()

    def matches_path(self, tool: str, path: str | None) -> bool:
        """Whether the rule applies to this tool on this canonical path."""
        if tool not in self.tools or self.command:
            return False
        return not self.paths or (path is not None and any(glob_matches(glob, path) for glob in self.paths))

    def matches_words(self, argv: Sequence[str]) -> bool:
        """Whether the rule applies to a command with these words: its tokens are a prefix of them."""
        if len(argv) < len(self.command):
            return False
        return all(word in choice for word, choice in zip(argv, self.command, strict=False))

    def covers(self, finding: Finding) -> bool:
        """Whether an allow rule grants a segment; it never overrides a lasting reason to ask."""
        lasting = finding.leads_outside or (finding.unproven is not None and finding.unproven.lasting)
        return bool(self.command) and self.matches_words(finding.stage.argv) and not lasting

    def matches_example(self, example: Example) -> bool:
        """Whether the rule, alone, grants or restricts anything in an example."""
        if example.path is not None:
            tool = BY_NAME[min(self.tools)]
            kinds = {path.kind for path in tool.path_arguments({})}
            kind: PathKind = "directory" if kinds == {"directory"} else "file"
            return self.matches_path(tool.name, canonicalise(example.path, kind).text)
        examination = examine(example.command or "", shell="bash")  # noqa: S604 -- nothing is started
        if examination.unproven is not None:
            return False
        if self.decision == "allow":
            return all(self.covers(finding) for finding in examination.findings)
        return any(self.matches_words(finding.stage.argv) for finding in examination.findings)


@dataclass(frozen=True)
class Rules:
    """All effective rules, with the profile and the version that a verdict records."""

    rules: tuple[Rule, ...] = ()
    profile: Profile = "standard"
    version: str = ""
    ignored: tuple[str, ...] = field(default=())
    """Rules of the project that were left out, each with the reason."""

    def with_project(self, project_rules: Iterable[Mapping[str, Any]]) -> Rules:
        """Add the project's rules; they can only restrict, and a malformed one is left out with a recorded reason."""
        taken: list[Rule] = []
        ignored: list[str] = []
        for number, raw in enumerate(project_rules, start=1):
            try:
                taken.append(_project_rule(raw, number))
            except (ValidationError, ConfigurationError, Unproven) as error:
                ignored.append(f"rule {number} of the project is ignored: {str(error).splitlines()[0][:200]}")
        return replace(self, rules=(*self.rules, *taken), ignored=(*self.ignored, *ignored))


def load_rules(operator_file: Path | None = None, profile: Profile = "standard") -> Rules:
    """Read the shipped rules and an operator's own; raise ConfigurationError for a rule that fails its examples."""
    shipped = files("policy").joinpath("rules.toml").read_text(encoding="utf-8")
    texts = [("rules.toml", shipped)]
    if operator_file is not None:
        try:
            texts.append((str(operator_file), operator_file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"POLICY_FILE {operator_file} cannot be read: {error}") from error
    rules: list[Rule] = []
    for name, text in texts:
        for rule in _read(name, text):
            if any(rule.id == other.id for other in rules):
                raise ConfigurationError(f"{name}: rule '{rule.id}' occurs twice")
            rules.append(rule)
    return Rules(tuple(rules), profile, _version(profile, [text for _, text in texts]))


def _version(profile: Profile, texts: Sequence[str]) -> str:
    tables = [repr(path_classes.FAMILIES), repr([sorted(family.names) for family in always_ask.FAMILIES])]
    tables.append(repr([(t.name, t.runs, t.access, t.paths, t.globs, t.command) for t in TOOLS]))
    content = "\0".join([str(CODE_VERSION), profile, COMMANDS_TEXT, DANGER_TEXT, *tables, *texts])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def read_restrictions(name: str, text: str) -> tuple[list[WrittenRule], list[str]]:
    """Read a project's file of rules: (the checked rules that restrict, the ids of those that permit and are ignored).

    Raises ConfigurationError, which names the rule, for a file that is malformed or does not prove itself.
    """
    written = _written(name, text)
    restricting = [entry for entry in written.rule if entry.decision != "allow"]
    for entry in restricting:
        _proven(name, entry)
    return restricting, [entry.id for entry in written.rule if entry.decision == "allow"]


def _read(name: str, text: str) -> list[Rule]:
    return [_proven(name, entry) for entry in _written(name, text).rule]


def _written(name: str, text: str) -> RuleFile:
    try:
        return RuleFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{name} is nested too deeply") from error
    except ValidationError as error:
        raise ConfigurationError(_named(name, text, error)) from error


def _proven(name: str, entry: WrittenRule) -> Rule:
    where = f"{name}: rule '{entry.id}'"
    rule = _compiled(entry, where)
    _prove(rule, entry, where)
    return rule


def _named(name: str, text: str, error: ValidationError) -> str:
    """Name the rule by its id, not by its number, where it has one."""
    first = error.errors()[0]
    where = first["loc"]
    entries = tomllib.loads(text).get("rule")
    if len(where) > 1 and where[0] == "rule" and isinstance(where[1], int) and isinstance(entries, list):
        entry = entries[where[1]]
        identity = entry.get("id", f"number {where[1] + 1}") if isinstance(entry, dict) else f"number {where[1] + 1}"
        return f"{name}: rule '{identity}', {'.'.join(str(part) for part in where[2:])}: {first['msg']}"
    return f"{name}: {'.'.join(str(part) for part in where)}: {first['msg']}"


def _project_rule(raw: Mapping[str, Any], number: int) -> Rule:
    written = ProjectRule.model_validate({"id": f"project-{number}", "why": "A rule of the project.", **raw})
    if written.decision == "allow":
        raise ConfigurationError("a project may only ask or deny")
    rule = _compiled(written, "the rule")
    return replace(rule, id=f"project.{rule.id}", why=clean_result(rule.why))


def _compiled(written: ProjectRule, where: str) -> Rule:
    tools = frozenset([written.tool] if isinstance(written.tool, str) else written.tool)
    for tool in sorted(tools):
        if tool not in BY_NAME:
            raise ConfigurationError(f"{where} names the unknown tool '{tool}'; there are {', '.join(BY_NAME)}")
        if written.path is not None and not _has_path(BY_NAME[tool]):
            raise ConfigurationError(f"{where} has a path, but the tool '{tool}' has none")
    if written.command is not None and not tools <= COMMAND_TOOLS:
        raise ConfigurationError(f"{where} has a command, so its tool must be {' or '.join(sorted(COMMAND_TOOLS))}")
    if written.decision == "allow" and tools & COMMAND_TOOLS and written.command is None:
        raise ConfigurationError(f"{where} would allow every command; give it a command")
    for glob in written.path or []:
        if problem := check_glob(glob):
            raise ConfigurationError(f"{where} has the bad glob '{glob}': {problem}")
    tokens = tuple(frozenset([token] if isinstance(token, str) else token) for token in written.command or [])
    if any(not token or "" in token for token in tokens):
        raise ConfigurationError(f"{where} has an empty token in its command")
    return Rule(written.id, tools, written.decision, written.why, tuple(written.path or []), tokens)


def _has_path(tool: Tool) -> bool:
    """Whether rules can name a path of the tool; the folder of a command has its own check."""
    return tool.command is None and bool(tool.path_arguments(dict.fromkeys(tool.parameters["properties"], "")))


def _prove(rule: Rule, written: WrittenRule, where: str) -> None:
    """Evaluate the rule's own examples, and for an allow rule the commands that no rule may allow."""
    for label, examples, wanted in (("match", written.match, True), ("not_match", written.not_match, False)):
        for example in examples:
            shown = example.model_dump(exclude_none=True)
            if len(shown) != 1 or (example.command is None) != (not rule.tools & COMMAND_TOOLS):
                raise ConfigurationError(f"{where}: the {label} example {shown} needs a path or a command, as its tool")
            try:
                matches = rule.matches_example(example)
            except Unproven as unproven:
                raise ConfigurationError(
                    f"{where}: the {label} example {shown} is no path: {unproven.text}"
                ) from unproven
            if matches != wanted:
                gave = "matches" if matches else "does not match"
                raise ConfigurationError(f"{where}: the {label} example {shown} {gave}")
    if rule.decision == "allow" and rule.command:
        _prove_harmless(rule, where)


def _prove_harmless(rule: Rule, where: str) -> None:
    program = sorted(rule.command[0])
    for name in program:
        family = always_ask.ALWAYS_ASK.get(name)
        if family is not None and family.is_lasting:
            raise ConfigurationError(f"{where} would allow '{name}', which {family.text}; no rule lifts that")
    for command in canaries_of(rule):
        if rule.matches_example(Example(command=command)):
            raise ConfigurationError(f"{where} would let '{command}' run without asking; narrow its command")


def canaries_of(rule: Rule) -> list[str]:
    """Return commands that no rule may allow: general ones, and the rule's own words in dangerous lines."""
    own = " ".join(min(token) for token in rule.command)
    traps = [
        f"{own}; rm -rf x",
        f"{own} && rm -rf x",
        f"{own} | sh",
        f"{own} $(rm x)",
        f"{own} `rm x`",
        f"{own} > x",
        f"{own} & rm x",
        f"{own}\nrm x",
        f"X=1 {own}",
        f"{own} ../x",
        f"{own} .env",
        f"{own} /etc/passwd",
    ]
    limits = [example for command in READ_COMMANDS.values() for example in command.fails]
    return [*CANARIES, *limits, *traps]


CANARIES: tuple[str, ...] = (
    "rm -rf build",
    "rm notes.txt",
    "mv lib/a.dart lib/b.dart",
    "chmod +x run.sh",
    "dd if=a of=b",
    "curl https://example.com/x -o x",
    "wget https://example.com/x",
    "git config core.hooksPath .hooks",
    "git clean -fd",
    "git reset --hard HEAD~1",
    "tee out.txt",
    "cp .env.example .env",
    "printenv",
    "export PATH=.",
)
