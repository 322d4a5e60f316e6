"""The verdict on one tool call: every stage of the policy in order; the strictest restriction wins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from policy.file_guard import check_cwd, check_paths
from policy.findings import Findings, shown
from policy.rules import Rule, Rules
from policy.shell.command import Examination, Finding, examine, harm_of, reason_of
from policy.shell.execution import execution_of
from policy.shell.grants import granted_by, remember_options, remember_writes
from policy.verdicts.facts import Call, Environment, Facts, Profile, Rights, Writes
from policy.verdicts.verdict import Danger, Decision, Match, Reason, Segment, Verdict, highest, strictest
from tools.catalog import BY_NAME
from tools.tool import Tool

__all__ = ["Call", "Environment", "Facts", "Profile", "Rights", "Writes", "decide"]

_logger = logging.getLogger("policy")


def decide(call: Call, agent: Rights, facts: Facts, rules: Rules) -> Verdict:
    """Judge one call. Pure, and never raises: an internal error becomes the verdict `ask`."""
    try:
        verdict = _judge(call, agent, facts, rules)
        if call.as_text and verdict.decision == "allow" and BY_NAME[call.tool].access == "write":
            verdict = _asked_as_text(verdict)
    except Exception:  # an error of the policy must neither allow a call nor end a run: it asks, and is recorded
        _logger.exception("policy failed", extra={"action": "policy_error", "tool": str(call.tool)[:64]})
        reason = Reason("policy.error", "The policy could not judge this call")
        verdict = Verdict("ask", "high", (reason,), policy_version=rules.version, ask_reason=reason.text)
    if verdict.decision == "ask" and not facts.human:
        return _refused(verdict, call, "nobody can approve in this run")
    tool = BY_NAME.get(call.tool)
    if verdict.decision == "ask" and tool is not None and tool.runs != "client":
        return _refused(verdict, call, "nobody is asked about a tool that the runtime carries out")
    return verdict


def _asked_as_text(verdict: Verdict) -> Verdict:
    reason = Reason("call.text", "The model wrote this call into its text instead of making it")
    danger = highest([verdict.danger, "normal"])
    return replace(verdict, decision="ask", danger=danger, reasons=(*verdict.reasons, reason), execution=None)


def _judge(call: Call, agent: Rights, facts: Facts, rules: Rules) -> Verdict:
    rules = rules.with_project(facts.environment.rules) if facts.environment.rules else rules
    tool = BY_NAME.get(call.tool)
    if tool is None:
        reason = Reason("tool.unknown", f"Tool '{shown(call.tool)}' is not allowed for {agent.title} agent")
        return Verdict("deny", "normal", (reason,), policy_version=rules.version)
    found = Findings()
    _check_rights(call, tool, agent, found)
    if tool.command_argument is not None:
        _check_command(call, tool, facts, rules, found)
    if tool.command is None:
        check_paths(call, tool, agent, facts, rules, found)
    return _concluded(call, tool, facts, rules, found)


def _check_rights(call: Call, tool: Tool, agent: Rights, found: Findings) -> None:
    if call.tool not in agent.tools or (tool.changes_files and agent.writes == "none"):
        found.restrict("deny", Reason("agent.tool", _denial_of(call, tool, agent)))


def _denial_of(call: Call, tool: Tool, agent: Rights) -> str:
    """Word the denial of a tool; for an agent with a stated purpose it names the agents that have the right."""
    if agent.only and tool.command is not None:
        return f"{agent.title} agent cannot execute commands. {agent.who_runs}".strip()
    if agent.only and tool.changes_files and "directory" not in (tool.paths or {}).values():
        text = f"{agent.title} agent cannot modify files. {agent.title} agent can only {agent.only}."
        return f"{text} {agent.who_writes}".strip()
    return f"Tool '{call.tool}' is not allowed for {agent.title} agent"


def _check_command(call: Call, tool: Tool, facts: Facts, rules: Rules, found: Findings) -> None:
    """Judge a command; the command of a tool that does not declare one is never proved, only its danger is judged."""
    command = call.arguments.get(tool.command_argument or "")
    if not isinstance(command, str):
        found.restrict("deny", Reason("tool.arguments", "Command is not allowed: it is missing or no text"))
        return
    place = check_cwd(_folder_of(call, tool), facts, found)
    has_git = facts.environment.has_git
    examination = examine(command, place, facts.environment.shell, rules.profile, has_git=has_git)
    found.examination = examination
    if examination.hard_deny:
        text = f"Command is not allowed: {examination.hard_deny}"
        found.restrict("deny", Reason("command.catastrophic", text), "high")
    relevant = [rule for rule in rules.rules if call.tool in rule.tools] if tool.command else []
    _apply_tool_rules(relevant, found)
    allowed: list[Decision] = []
    for number, finding in enumerate(examination.findings):
        _apply_command_rules(number, finding, relevant, found)
        is_covered = _is_covered(call, finding, examination, facts, relevant, found)
        allowed.append(_judge_segment(number, finding, examination, found, is_covered=is_covered))
    if examination.unproven is not None:
        found.restrict("ask", reason_of(examination.unproven))
    found.is_granted = examination.unproven is None and bool(allowed) and tool.command is not None
    found.segments = tuple(
        Segment(finding.stage.argv, decision) for finding, decision in zip(examination.findings, allowed, strict=True)
    )


def _folder_of(call: Call, tool: Tool) -> object:
    """The folder in which a command runs, where the tool has an argument for it."""
    names = [name for name, kind in (tool.paths or {}).items() if kind == "directory"]
    return call.arguments.get(names[0]) if names else None


def _apply_tool_rules(rules: Sequence[Rule], found: Findings) -> None:
    """Apply the rules about every command; they also apply to a line that cannot be parsed."""
    for rule in rules:
        if rule.decision != "allow" and not rule.command:
            found.matched.append(Match(rule.id, rule.why))
            text = f"Command is not allowed: {rule.why}" if rule.decision == "deny" else rule.why
            found.restrict(rule.decision, Reason(f"rule.{rule.id}", text, rule=rule.id))


def _apply_command_rules(number: int, finding: Finding, rules: Sequence[Rule], found: Findings) -> None:
    for rule in rules:
        if rule.decision == "allow" or not rule.command or not rule.matches_words(finding.stage.argv):
            continue
        found.matched.append(Match(rule.id, rule.why))
        text = f"Command is not allowed: {rule.why}" if rule.decision == "deny" else rule.why
        span = finding.stage.words[0].span
        found.restrict(rule.decision, Reason(f"rule.{rule.id}", text, span, number, rule.id))


def _judge_segment(
    number: int, finding: Finding, examination: Examination, found: Findings, *, is_covered: bool
) -> Decision:
    """Return the decision on one segment, and record what is unproven when nothing grants it."""
    restricted = [decision for decision, reason, _ in found.restrictions if reason.segment == number]
    if finding.unproven is not None and not is_covered:
        found.restrict("ask", reason_of(finding.unproven, number))
        restricted.append("ask")
    if examination.hard_deny:
        return "deny"
    return strictest([*restricted, "ask"] if examination.unproven is not None else restricted)


def _is_covered(
    call: Call, finding: Finding, examination: Examination, facts: Facts, rules: Sequence[Rule], found: Findings
) -> bool:
    if examination.unproven is not None or finding.unproven is None:
        return False
    for rule in rules:
        if rule.decision == "allow" and rule.covers(finding):
            found.matched.append(Match(rule.id, rule.why))
            return True
    granted = granted_by(finding, call.tool, facts.session_rules)
    if granted is None:
        return False
    found.matched.append(Match("session", f"`{granted}` was granted for this session."))
    return True


def _concluded(call: Call, tool: Tool, facts: Facts, rules: Rules, found: Findings) -> Verdict:
    decision = strictest(decision for decision, _, _ in found.restrictions)
    if not found.restrictions and not found.is_granted and tool.default == "ask":
        found.restrict("ask", Reason("tool.default", tool.ask_reason))
        decision = "ask"
    ordered = sorted(found.restrictions, key=lambda entry: entry[0] != "deny")
    dangers: list[Danger] = ["normal" if tool.changes_files else "low"]
    if found.examination is not None and decision != "allow":
        dangers.append(harm_of(found.examination))
    verdict = Verdict(
        decision=decision,
        danger=highest([*dangers, *(danger for _, _, danger in found.restrictions)]),
        reasons=tuple(reason for _, reason, _ in ordered),
        matched=tuple(dict.fromkeys(found.matched)),
        segments=found.segments,
        policy_version=rules.version,
        path=found.path.text if found.path else None,
        path_class=found.path_class,
        ask_reason=tool.ask_reason,
    )
    if decision == "deny":
        return verdict
    if found.examination is None:
        return _with_folder_choice(verdict, tool)
    return _with_command_parts(verdict, call, found.examination, facts)


def _with_folder_choice(verdict: Verdict, tool: Tool) -> Verdict:
    """Offer to remember writes below the folder where only the tool's default asks."""
    only_default = verdict.decision == "ask" and all(reason.code == "tool.default" for reason in verdict.reasons)
    if not only_default or verdict.path is None or verdict.path_class != "ordinary":
        return verdict
    return replace(verdict, remember_options=remember_writes(verdict.path, tool.names_in_rules[-1]))


def _with_command_parts(verdict: Verdict, call: Call, examination: Examination, facts: Facts) -> Verdict:
    if verdict.decision == "allow":
        stages = [finding.stage for finding in examination.findings]
        shell = facts.environment.shell or ""
        return replace(verdict, execution=execution_of(stages, call.arguments, shell))
    from_segments_only = all(
        reason.segment is not None and reason.code in {"command.project_code", "command.unknown"}
        for reason in verdict.reasons
    )
    return (
        replace(verdict, remember_options=remember_options(examination, call.tool)) if from_segments_only else verdict
    )


def _refused(verdict: Verdict, call: Call, why: str) -> Verdict:
    """Turn `ask` into a denial where no person can answer."""
    cause = verdict.reasons[0].text if verdict.reasons else verdict.ask_reason
    tool = BY_NAME.get(call.tool)
    if verdict.path is not None:
        subject = f"Path '{shown(verdict.path)}'"
    else:
        subject = "Command" if tool is not None and tool.command else f"Tool '{shown(call.tool)}'"
    text = f"{subject} is not allowed: it needs a person's approval and {why} ({cause})"
    segments = tuple(Segment(s.argv, "deny" if s.verdict == "ask" else s.verdict) for s in verdict.segments)
    reasons = (Reason("human.absent", text), *verdict.reasons)
    return replace(verdict, decision="deny", reasons=reasons, segments=segments, remember_options=())
