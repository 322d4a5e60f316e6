"""The option lists: their own examples, and that nothing outside them passes."""

from __future__ import annotations

import string

import pytest

from policy.shell.command import classify
from policy.shell.options import OptionList
from policy.shell.readonly import READ_COMMANDS, ReadCommand

COMMANDS = list(READ_COMMANDS.values())
NORMATIVE = frozenset(
    """ls cat wc nl cut tac head diff cmp du df stat realpath readlink basename dirname sha1sum sha256sum md5sum which
    pwd true false whoami id uname echo tail sort uniq file tree date cd sed find grep egrep fgrep rg git node python3
    python dart java gcc make cmake npm tr column od hexdump xxd strings comm paste fold seq type printf test [ jq awk
    gawk""".split()  # noqa: SIM905 -- the table of the documentation, word by word
)
NEVER = {"--output", "--ext-diff", "--textconv", "--no-index", "--exec", "--open-files-in-pager", "-O"}


def _ids(command: ReadCommand) -> str:
    return command.name


def _asks(command: str) -> bool:
    return classify(command, None, "bash").decision != "allow"


def test_the_list_holds_exactly_the_commands_of_the_policy() -> None:
    assert {name.split()[0] for name in READ_COMMANDS} == NORMATIVE


@pytest.mark.parametrize("command", COMMANDS, ids=_ids)
def test_examples_pass_and_fail(command: ReadCommand) -> None:
    assert command.passes
    assert command.fails
    assert [example for example in command.passes if _asks(example)] == []
    assert [example for example in command.fails if not _asks(example)] == []


@pytest.mark.parametrize("command", COMMANDS, ids=_ids)
def test_every_unlisted_short_option_asks(command: ReadCommand) -> None:
    for letter in string.ascii_letters + string.digits + "@%^,.:+":
        listed = f"-{letter}" in command.options.options or (letter.isdigit() and command.options.takes_count)
        if not listed:
            assert _asks(f"{command.name} -{letter}"), letter
            assert _asks(f"{command.name} -{letter} x"), letter


@pytest.mark.parametrize("command", COMMANDS, ids=_ids)
def test_every_prefix_of_a_long_option_asks(command: ReadCommand) -> None:
    options = command.options.options
    prefixes = {name[:end] for name in options if name.startswith("--") for end in range(3, len(name))}
    for prefix in sorted(prefixes - options.keys()):
        assert _asks(f"{command.name} {prefix}"), prefix
        assert _asks(f"{command.name} {prefix}=x a"), prefix


@pytest.mark.parametrize("command", COMMANDS, ids=_ids)
def test_an_unlisted_option_hides_nowhere(command: ReadCommand) -> None:
    flags = [name for name, option in command.options.options.items() if option.value is None and len(name) == 2]
    for flag in flags:
        assert _asks(f"{command.name} {flag}\u00ff a"), flag
        assert _asks(f"{command.name} {flag}@ a"), flag
    for name, option in command.options.options.items():
        if option.value is not None and not option.is_optional:
            assert _asks(f"{command.name} {name} --unlisted a"), name
            assert _asks(f"{command.name} {name}"), name
        if option.value is None and name.startswith("--"):
            assert _asks(f"{command.name} {name}=x a"), name


def test_git_reads_never_list_what_starts_a_program_or_writes() -> None:
    for command in COMMANDS:
        if command.name.startswith("git "):
            assert not NEVER & command.options.options.keys(), command.name


def test_no_listed_negation_undoes_a_listed_restriction() -> None:
    for command in COMMANDS:
        for name in ("--no-ext-diff", "--no-textconv"):
            if name in command.options.options:
                assert name.replace("--no-", "--") not in command.options.options


@pytest.mark.parametrize("text", ["-a -a", "a", "--x=NOPE", "-x[TEXT]"])
def test_a_bad_option_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="option list"):
        OptionList.parse(text)
