"""jq: one filter that reads neither files nor the environment, and files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy.shell.always_ask import names_of
from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path, check_text
from policy.verdicts.unproven import Unproven

_FLAGS = names_of(
    "--null-input --raw-input --slurp --compact-output --raw-output --join-output --ascii-output --color-output "
    "--monochrome-output --tab --sort-keys --exit-status --stream --seq --unbuffered --version --help"
)
_CLUSTER = re.compile(r"-[nRscrjaCMSeh]+")
_PAIRS = frozenset({"--arg", "--argjson"})
_NAMES = re.compile(r"\.\.|\.[A-Za-z_]\w*|[A-Za-z_]\w*")
_OUTSIDE = names_of("import include input_filename env ENV modulemeta get_search_list input_line_number debug stderr")
"""Words of a filter that read modules, names of files or the environment; `.env` is a field and is none of them."""


def check_jq(words: Sequence[Word], place: Place) -> None:
    """Raise a Unproven unless the options, the filter and the files are plain reads."""
    operands: list[Word] = []
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word.value in _PAIRS:
            _check_pair(word, queue, place)
        elif word.value == "--indent":
            if not queue or not re.fullmatch(r"[0-9]", queue.pop().value):
                raise Unproven("command.option", "--indent takes one digit", word.span)
        elif word.value.startswith("-") and word.value != "-":
            if word.value not in _FLAGS and not _CLUSTER.fullmatch(word.value):
                raise Unproven("command.option", f"The option {word.value} is not known to only read", word.span)
        else:
            operands.append(word)
    if operands:
        check_text(operands[0], place)
        for found in _NAMES.findall(operands[0].value):
            if found in _OUTSIDE:
                text = f"In a jq filter `{found}` may read other files or the environment"
                raise Unproven("command.operand", text, operands[0].span)
    for word in operands[1:]:
        check_path(word, word.value, place)


def _check_pair(option: Word, queue: list[Word], place: Place) -> None:
    if len(queue) < 2:
        raise Unproven("command.option", f"{option.value} takes a name and a value", option.span)
    name, value = queue.pop(), queue.pop()
    if not re.fullmatch(r"[A-Za-z_]\w*", name.value):
        raise Unproven("command.option", f"{name.value} is not a name", name.span)
    check_text(value, place)
