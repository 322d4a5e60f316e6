"""The operands that a program writes to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from policy.shell.always_ask import names_of
from policy.shell.danger.words import WORDS

_ALL_OPERANDS = names_of(
    "tee touch mkdir sponge ed vim vi nano emacs code patch ex set-content add-content out-file new-item"
)
_LAST_OPERAND = names_of("cp mv ln install rsync copy move xcopy copy-item move-item scp")
_OUTPUT_OPTIONS = WORDS["output_options"] | names_of("-t --target-directory -C -d --directory")
_WITH_OUTPUT_OPTIONS = WORDS["downloads"] | names_of("tar unzip cp mv install ln sort go gcc cc 7z split")


def written_by(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the paths that a program writes, as far as its words name them."""
    operands = [word for word in arguments if not word.startswith("-")]
    targets: list[str] = []
    edits = name in {"sed", "gsed", "perl", "ruby"} and any(
        re.match(r"-[A-Za-z0-9]*i|--in-place", word) for word in arguments
    )
    if name in _ALL_OPERANDS or edits:
        targets += operands
    elif name in _LAST_OPERAND:
        targets += operands if name in {"mv", "move", "move-item"} else operands[-1:]
    elif name == "chmod":
        targets += operands[1:]
    if name in {"find", "fd"}:
        targets += [value for option, value in pairwise(arguments) if option.startswith(("-fprint", "-fls"))]
    if name in _WITH_OUTPUT_OPTIONS:
        targets += [value for option, value in pairwise(arguments) if option in _OUTPUT_OPTIONS]
        targets += [word.partition("=")[2] for word in arguments if word.partition("=")[0] in _OUTPUT_OPTIONS]
        targets += [word[2:] for word in arguments if re.match(r"-[oOPCdt][^-]", word)]
    return targets
