"""The verdict on one tool call: every stage of the policy in order, the strictest restriction wins."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from policy.file_guard import WRITE_TOOLS, check_cwd, check_path_call
from policy.findings import Findings, shown
from policy.rules import COMMAND_TOOL, Rule, Rules
from policy.shell.command import Examination, Finding, examine, reason_of
from policy.shell.execution import execution_of
from policy.shell.grants import granted_by, remember_options
from policy.verdicts.facts import Call, Environment, Facts, Profile, Rights, Writes
from policy.verdicts.verdict import Danger, Decision, Match, Reason, Segment, Verdict, highest, strictest
from tools.catalog import BY_NAME
from tools.tool import Tool

__all__ = ["Call", "Environment", "Facts", "Profile", "Rights", "Writes", "decide"]

_DENIALS: Mapping[tuple[str, str], str] = {
    ("debug", "write_file"): (
        "Debug agent cannot modify files. Debug agent can only analyze and suggest fixes. "
        "For code changes, please switch to Coder agent."
    ),
    ("ask", "write_file"): (
        "Ask agent cannot modify files. Ask agent can only read and explain. "
        "For code changes, please switch to Coder agent."
    ),
    ("ask", "execute_command"): (
        "Ask agent cannot execute commands. For running commands, please switch to Coder or Debug agent."
    ),
}

_logger = logging.getLogger("policy")


def decide(call: Call, agent: Rights, facts: Facts, rules: Rules) -> Verdict:
    """Judge one call. Pure, and never raises: whatever goes wrong inside asks a person."""
    try:
        verdict = _judge(call, agent, facts, rules)
    except Exception:  # the policy itself must not let a call through or break a run: the outcome is recorded
        _logger.exception("policy failed", extra={"action": "policy.error", "tool": str(call.tool)[:64]})
        reason = Reason("policy.error", "The policy could not judge this call")
        verdict = Verdict("ask", "high", (reason,), policy_version=rules.version, ask_reason=reason.text)
    if verdict.decision == "ask" and not facts.human:
        return _refused_without_human(verdict, call)
    return verdict


def _judge(call: Call, agent: Rights, facts: Facts, rules: Rules) -> Verdict:
    rules = rules.with_project(facts.environment.rules) if facts.environment.rules else rules
    tool = BY_NAME.get(call.tool)
    if tool is None:
        reason = Reason("tool.unknown", f"Tool '{shown(call.tool)}' is not allowed for {agent.title} agent")
        return Verdict("deny", "normal", (reason,), policy_version=rules.version)
    found = Findings()
    _check_rights(call, agent, found)
    if call.tool == COMMAND_TOOL:
        _check_command(call, facts, rules, found)
    elif "path" in tool.parameters["properties"]:
        check_path_call(call, agent, facts, rules, found)
    else:
        found.apply_rules(call.tool, None, rules.rules)
    return _concluded(call, tool, facts, rules, found)


def _check_rights(call: Call, agent: Rights, found: Findings) -> None:
    if call.tool in agent.tools and not (call.tool in WRITE_TOOLS and agent.writes == "none"):
        return
    general = f"Tool '{call.tool}' is not allowed for {agent.title} agent"
    found.restrict("deny", Reason("agent.tool", _DENIALS.get((agent.agent, call.tool), general)))


def _check_command(call: Call, facts: Facts, rules: Rules, found: Findings) -> None:
    command = call.arguments.get("command")
    if not isinstance(command, str):
        found.restrict("deny", Reason("tool.arguments", "Command is not allowed: it is missing or no text"))
        return
    place = check_cwd(call.arguments.get("cwd"), facts, found)
    examination = examine(command, place, facts.environment.shell, rules.profile)
    found.examination = examination
    if examination.catastrophe:
        text = f"Command is not allowed: {examination.catastrophe}"
        found.restrict("deny", Reason("command.catastrophic", text), "high")
    _apply_tool_rules(rules.rules, found)
    allowed: list[Decision] = []
    for number, finding in enumerate(examination.findings):
        _apply_command_rules(number, finding, rules.rules, found)
        allowed.append(_judge_segment(number, finding, examination, facts, rules, found))
    if examination.doubt is not None:
        found.restrict("ask", reason_of(examination.doubt), examination.doubt.danger)
    found.is_granted = examination.doubt is None and bool(allowed)
    found.segments = tuple(
        Segment(finding.stage.argv, decision) for finding, decision in zip(examination.findings, allowed, strict=True)
    )


def _apply_tool_rules(rules: Sequence[Rule], found: Findings) -> None:
    """A rule about every command also speaks about a line that cannot be parsed."""
    for rule in rules:
        if rule.decision != "allow" and not rule.command and COMMAND_TOOL in rule.tools:
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
    number: int, finding: Finding, examination: Examination, facts: Facts, rules: Rules, found: Findings
) -> Decision:
    """Return what one segment gets on its own, and note its doubt when nothing grants it."""
    restricted = [decision for decision, reason, _ in found.restrictions if reason.segment == number]
    if finding.doubt is not None and not _is_covered(finding, examination, facts, rules, found):
        found.restrict("ask", reason_of(finding.doubt, number), finding.doubt.danger)
        restricted.append("ask")
    if examination.catastrophe:
        return "deny"
    return strictest([*restricted, "ask"] if examination.doubt is not None else restricted)


def _is_covered(finding: Finding, examination: Examination, facts: Facts, rules: Rules, found: Findings) -> bool:
    if examination.doubt is not None:
        return False
    for rule in rules.rules:
        if rule.decision == "allow" and rule.covers(finding):
            found.matched.append(Match(rule.id, rule.why))
            return True
    granted = granted_by(finding, facts.session_rules)
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
    danger: Danger = "normal" if call.tool in WRITE_TOOLS else "low"
    verdict = Verdict(
        decision=decision,
        danger=highest([danger, *(danger for _, _, danger in found.restrictions)]),
        reasons=tuple(reason for _, reason, _ in ordered),
        matched=tuple(dict.fromkeys(found.matched)),
        segments=found.segments,
        policy_version=rules.version,
        path=found.path.text if found.path else None,
        path_class=found.path_class,
        ask_reason=tool.ask_reason,
    )
    if found.examination is None or decision == "deny":
        return verdict
    return _with_command_parts(verdict, call, found.examination, facts)


def _with_command_parts(verdict: Verdict, call: Call, examination: Examination, facts: Facts) -> Verdict:
    if verdict.decision == "allow":
        stages = [finding.stage for finding in examination.findings]
        shell = facts.environment.shell or ""
        return replace(verdict, execution=execution_of(stages, call.arguments, shell))
    from_segments_only = all(
        reason.segment is not None and reason.code in {"command.project_code", "command.unknown"}
        for reason in verdict.reasons
    )
    return replace(verdict, remember_options=remember_options(examination)) if from_segments_only else verdict


def _refused_without_human(verdict: Verdict, call: Call) -> Verdict:
    cause = verdict.reasons[0].text if verdict.reasons else verdict.ask_reason
    missing = f"it needs a person's approval and nobody can approve in this run ({cause})"
    if verdict.path is not None:
        subject = f"Path '{shown(verdict.path)}'"
    else:
        subject = "Command" if call.tool == COMMAND_TOOL else f"Tool '{shown(call.tool)}'"
    reason = Reason("human.absent", f"{subject} is not allowed: {missing}")
    segments = tuple(Segment(s.argv, "deny" if s.verdict == "ask" else s.verdict) for s in verdict.segments)
    return replace(verdict, decision="deny", reasons=(reason, *verdict.reasons), segments=segments, remember_options=())
