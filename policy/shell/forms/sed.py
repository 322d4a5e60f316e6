"""sed: `-n` and a script of addresses with `p`, `=` and `q`, which print and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy.shell.lexer import Word
from policy.shell.operands import Place, check_path
from policy.verdicts.unproven import Unproven

_NUMBER = r"[0-9]{1,9}"
_REGEX = r"/(?:[^/\\\n\[\]]|\\[^\n]|\[(?:\[:[a-z]{1,9}:\]|[^\[\]/\\\n])+\])*/[IM]?"
_ADDRESS = rf"(?:{_NUMBER}(?:~{_NUMBER})?|\$|{_REGEX})"
_SECOND = rf"(?:{_ADDRESS}|[+~]{_NUMBER})"
_STATEMENT = re.compile(
    rf"[ \t]*(?:{_ADDRESS}(?:[ \t]*,[ \t]*{_SECOND})?[ \t]*)?!?[ \t]*(?:[p=]|q[ \t]*[0-9]{{0,3}})[ \t]*"
)
_FLAGS = re.compile(r"-[nErsuz]+|--(?:quiet|silent|regexp-extended|separate|unbuffered|null-data)")
_WITH_SCRIPT = re.compile(r"-[nErsuz]*e")


def is_printing_script(script: str) -> bool:
    """Say whether a script only prints: statements of the grammar, apart by `;` or line feeds."""
    place = 0
    while True:
        found = _STATEMENT.match(script, place)
        if found is None:
            return False
        place = found.end()
        if place == len(script):
            return True
        if script[place] not in ";\n":
            return False
        place += 1


def check_sed(words: Sequence[Word], place: Place) -> None:
    """Raise a Unproven unless sed is quiet (`-n`) and every script only prints."""
    scripts: list[Word] = []
    operands: list[Word] = []
    is_quiet = False
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word.value == "--":
            operands += reversed(queue)
            break
        if _WITH_SCRIPT.fullmatch(word.value):
            is_quiet |= "n" in word.value
            if not queue:
                raise Unproven("command.option", "-e lacks its script", word.span)
            scripts.append(queue.pop())
        elif _FLAGS.fullmatch(word.value):
            is_quiet |= word.value in {"--quiet", "--silent"} or (word.value[1] != "-" and "n" in word.value)
        elif word.value.startswith("-") and word.value != "-":
            raise Unproven("command.option", f"The option {word.value} is not known to only read", word.span)
        else:
            operands.append(word)
    if not scripts and operands:
        scripts.append(operands.pop(0))
    if not is_quiet or not scripts:
        span = words[0].span if words else None
        raise Unproven("command.operand", "Of sed, only `sed -n` with a printing script is known to only read", span)
    for script in scripts:
        if script.is_glob or not is_printing_script(script.value):
            raise Unproven("command.operand", "This script may do more than print lines", script.span)
    for word in operands:
        check_path(word, word.value, place)
