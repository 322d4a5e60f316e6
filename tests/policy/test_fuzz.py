"""Whatever the text: no exception escapes, and there is always a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from policy.decide import Environment, Facts
from policy.paths.canonical import canonicalise
from policy.shell.command import classify
from policy.shell.hard_deny import hard_deny_in
from policy.verdicts.display import escape_display
from policy.verdicts.sanitize import clean_result
from policy.verdicts.unproven import Unproven
from tests.policy.roster import AGENTS, judge, run

SHELLISH = some.text(
    alphabet=some.sampled_from(list("lscat gitrmfind-o;|&<>(){}[]$`'\"\\\n\t #~!*?=:./0aя\u202e")), max_size=120
)
EXAMPLES = settings(max_examples=400, suppress_health_check=list(HealthCheck), derandomize=True)

HOSTILE_TEXTS = [
    "a(){" * 1000,
    "a(){" + "|" * 2000 + "&" * 1000,
    "<<a\n" * 1300,
    "sudo -x " * 500,
    "sudo " * 800,
    "rm -rf " + "/" * 4000 + "x",
    "rm -rf ~" + "/" * 4000 + "x",
    "(" * 4000,
    "$(" * 2000,
    "`" * 4000,
    "'" * 4095,
    '"' * 4095,
    "\\" * 4000,
    "a|" * 2000,
    "ls " + "a*" * 2000,
    "ls ." + "*." * 1900,
    "ls " + "[a" * 2000,
    "[[" * 2000,
    "if " * 1300,
    "case x in " * 400,
    "sed -n " + "1" * 4000 + "p",
    "grep " + "-e a " * 800,
    "git show " + ":" * 4000,
    "git show " + "a/" * 2000,
    "find . " + "! " * 2000,
    "ls " + "'a'" * 1300,
    "ls " + "я" * 4000,
    "ls " + "я " * 2000,
    "x" * 1_000_000,
    "rm -rf /;" * 20_000,
    "bash -c \"bash -c 'bash -c x'\" " * 100,
    "python -c '" + "rm -rf x;" * 400 + "'",
    "awk '" + "/a" * 2000 + "'",
    "awk '" + "((" * 2000 + "'",
    "sed -n '" + "/[a" * 1300 + "'",
    "sed -n '" + "1p;" * 1300 + "w'",
    "printf '" + "%5" * 2000 + "'",
    "jq '" + "." * 4000 + "'",
    "find . " + "\\( " * 1300,
    "git log " + "@{a" * 1300,
]


@pytest.mark.parametrize("command", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_texts_made_to_be_slow_get_a_verdict(command: str) -> None:
    """How long they take is measured by benchmarks/policy_speed.py; an exponential one would meet the time limit."""
    verdict = classify(command, None, "bash")
    assert bool(verdict.reasons) == (verdict.decision != "allow")


@EXAMPLES
@given(some.text(max_size=300) | SHELLISH)
def test_the_classifier_never_raises(command: str) -> None:
    verdict = classify(command, None, "bash")
    assert bool(verdict.reasons) == (verdict.decision != "allow")
    hard_deny_in(command, None)


@EXAMPLES
@given(some.text(max_size=300) | SHELLISH)
def test_the_canonicaliser_only_asks_and_is_stable(path: str) -> None:
    try:
        canonical = canonicalise(path, "file", "/home/me/app")
    except Unproven:
        return
    assert canonicalise(canonical.text, "file") == canonical
    assert not canonical.text.startswith(("/", "\\"))
    assert ".." not in canonical.components


@EXAMPLES
@given(
    some.sampled_from(sorted(AGENTS)),
    some.sampled_from(["write_file", "read_file", "list_files", "search_in_code", "execute_command", "x"]),
    some.dictionaries(
        some.sampled_from(["path", "command", "cwd", "pattern", "file_pattern"]),
        some.none() | some.text(max_size=40) | some.integers() | some.lists(some.text(max_size=3)),
        max_size=4,
    ),
    some.recursive(
        some.none() | some.text(max_size=9) | some.booleans(),
        lambda inner: (
            some.lists(inner, max_size=3)
            | some.dictionaries(
                some.sampled_from(["shell", "rules", "os", "tool", "decision", "path"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    ),
)
def test_the_policy_judges_any_call(agent: str, tool: str, arguments: dict[str, Any], declared: Any) -> None:
    verdict = judge(agent, tool, arguments, Facts(Environment.read(declared)))
    assert all(reason.code != "policy.error" for reason in verdict.reasons)


@EXAMPLES
@given(SHELLISH)
def test_allowed_lines_have_only_listed_words(command: str) -> None:
    verdict = run(command)
    if verdict.decision == "allow":
        assert verdict.segments
        assert (
            not set("$`<\\{}()") & set("".join("".join(s.argv) for s in verdict.segments))
            or "'" in command
            or '"' in command
        )


@EXAMPLES
@given(some.text(max_size=200))
def test_display_and_sanitizer_leave_nothing_hidden(text: str) -> None:
    assert escape_display(escape_display(text)) == escape_display(text)
    assert clean_result(clean_result(text)) == clean_result(text)
