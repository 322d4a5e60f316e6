"""Secrets that a command reads without naming them: in a folder, by a wildcard, or from a list of names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from policy.paths.classes import alternatives, wildcard_may_meet_secret
from policy.shell.always_ask import names_of
from policy.shell.danger.cutting import Part
from policy.shell.danger.words import WORDS

SUBSTITUTED = "$()"
_PATTERN_FIRST = names_of("grep egrep fgrep zgrep rgrep rg ag ack ugrep sed gsed awk gawk mawk jq yq")
_PATTERN_GIVEN = ("-e", "-f", "--regexp", "--file", "--expression", "--from-file")
_GREPS = names_of("grep egrep fgrep zgrep rgrep")
_FDS = names_of("fd fdfind")
_COPIERS = names_of("cp rsync scp ditto robocopy xcopy")
_KNOWN_NAMES = names_of("which command type readlink realpath basename dirname mktemp pwd")
_POSITIONAL = re.compile(r"\$[@*0-9]|\$\{[@*0-9]\}")
_WILDCARD = re.compile(r"[*?\[{]")
_WHOLE = re.compile(r"(?:~|\$HOME|\$\{HOME\}|\$PWD|\$\{PWD\}|\$\(\))?(?:/|\.{1,2}|\*|\.\*|\*\*)*")
_ENDS_WITH = re.compile(r".*\\\.(\w+|\([\w|]+\))\$")


def reaches_secrets(
    name: str, arguments: Sequence[str], piped: Sequence[Part], inner: Sequence[Part], fed: bool | None
) -> bool:
    """Say whether a program shows, packs or copies files among which a secret may be.

    `piped` are the earlier parts of its pipeline and `inner` its substitutions; `fed` says whether `xargs` or `find`
    adds names among which secrets may be, None where neither starts the program.
    """
    shows, packs = name in WORDS["shows"], _packs(name, arguments)
    if not shows and not packs and name not in _COPIERS:
        return name == "git" and _git_reaches(arguments)
    operands = [word for word in arguments if not word.startswith("-")]
    if shows and name in _PATTERN_FIRST and not any(word.startswith(_PATTERN_GIVEN) for word in arguments):
        operands = operands[1:]
    if name in _COPIERS:
        return _copies_folders(name, arguments) and any(map(_is_whole, operands[:-1] or operands))
    if fed or any(_is_unknown(word, inner) for word in operands):
        return True
    if packs:
        return _packs_wide(name, arguments, operands, piped)
    return any(map(_meets_secret, operands)) or searches_hidden(name, arguments)


def searches_hidden(name: str, arguments: Sequence[str]) -> bool:
    """Say whether a search takes in hidden or ignored files of a folder, and no pattern of names keeps secrets out."""
    letters = {letter for word in arguments if re.match(r"-[A-Za-z.]", word) for letter in word[1:]}
    if name in _GREPS:
        recurses = {"r", "R"} & letters or name == "rgrep" or "recurse" in " ".join(arguments)
        narrowed = _values(arguments, ("--include",))
    elif name in {"rg", "ugrep", "ag"}:
        recurses = {"u", ".", "U"} & letters or any(
            word.startswith(("--hidden", "--no-ignore", "--unrestricted", "--skip-vcs-ignores")) for word in arguments
        )
        narrowed = _values(arguments, ("-g", "--glob", "--iglob", "--include", "-t", "--type"))
    elif name == "diff":
        recurses, narrowed = bool({"r"} & letters) or "--recursive" in arguments, []
    else:
        return name == "ack" or (name in {"gzip", "bzip2", "xz", "zstd"} and "r" in letters)
    positive = [value for value in narrowed if not value.startswith("!")]
    return bool(recurses) and (not positive or any(map(_meets_secret, positive)))


def finds_secrets(name: str, arguments: Sequence[str]) -> bool:
    """Say whether secrets may be among what `find` or `fd` gives: every branch must ask for harmless names."""
    if name in _FDS:
        hidden = {"-H", "-I", "-u", "-uu", "-HI", "--hidden", "--no-ignore", "--unrestricted"}
        endings = _values(arguments, ("-e", "--extension"))
        is_narrow = bool(endings) and not any(_meets_secret(f"*.{ending}") for ending in endings)
        return bool(hidden.intersection(arguments)) and not is_narrow
    branches: list[list[str]] = [[]]
    for word in arguments:
        if word in {"-o", "-or", ","}:
            branches.append([])
        else:
            branches[-1].append(word)
    return any("-prune" not in branch and not _asks_for_names(branch) for branch in branches)


def _asks_for_names(branch: Sequence[str]) -> bool:
    names = [
        value
        for place, (option, value) in enumerate(pairwise(branch))
        if option in {"-name", "-iname"} and branch[place - 1 : place] not in (["!"], ["-not"])
    ]
    return bool(names) and not any(map(_meets_secret, names))


def lists_secrets(parts: Sequence[Part]) -> bool:
    """Say whether names of secrets may be among what a pipeline prints; what is not known to list may print any."""
    if not parts or not parts[0].words:
        return True
    if any(_narrows(part) for part in parts[1:]):
        return False
    name, arguments = parts[0].words[0].rpartition("/")[2].lower(), parts[0].words[1:]
    match name:
        case "find" | "gfind" | "fd" | "fdfind":
            return finds_secrets(name, arguments)
        case "ls":
            shown = [word for word in arguments if not word.startswith("-")]
            return not shown or not all(_WILDCARD.search(word) and not _meets_secret(word) for word in shown)
        case "git":
            others = {"-o", "--others", "-i", "--ignored", "--untracked", "--no-index", "status"}
            return bool(others.intersection(arguments))
        case "rg" | "ag" | "grep" | "egrep" | "fgrep":
            return searches_hidden(name, arguments)
        case "echo":
            return len(parts) > 1 or any(map(_meets_secret, arguments))
    return name not in _KNOWN_NAMES


def _narrows(part: Part) -> bool:
    """A `grep '\\.py$'` behind a list of names."""
    if not part.words or part.words[0] not in {"grep", "egrep", "rg"} or "v" in "".join(part.words[1:-1]):
        return False
    found = _ENDS_WITH.fullmatch(part.words[-1])
    return found is not None and not any(_meets_secret(f"*.{end}") for end in found[1].strip("()").split("|"))


def _is_unknown(word: str, inner: Sequence[Part]) -> bool:
    """A name that the line does not say: an argument of a script, or what a substitution prints."""
    if _POSITIONAL.fullmatch(word):
        return True
    return word.endswith(SUBSTITUTED) and any(map(lists_secrets, _pipelines(inner) or [[]]))


def _pipelines(parts: Sequence[Part]) -> list[list[Part]]:
    numbers = dict.fromkeys(part.pipeline for part in parts)
    return [[part for part in parts if part.pipeline == number] for number in numbers]


def _meets_secret(pattern: str) -> bool:
    """Say whether a wildcard may stand for a secret, or for a folder of secrets where its dot is written."""
    written = alternatives(pattern)
    if written is None:
        return True
    for glob in written if _WILDCARD.search(pattern) else []:
        parts = [part for part in glob.split("/") if part]
        checked = [part for number, part in enumerate(parts, 1) if part.startswith(".") or number == len(parts)]
        if any(wildcard_may_meet_secret(part) for part in checked):
            return True
    return False


def _is_whole(word: str) -> bool:
    """The workspace, a folder above it, a home, or everything in it."""
    return bool(_WHOLE.fullmatch(word)) or (word.startswith(".") and "*" in word)


def _packs(name: str, arguments: Sequence[str]) -> bool:
    first = arguments[0] if arguments else ""
    if name in {"tar", "gtar", "bsdtar"}:
        bundled = "" if first.startswith("--") else first
        clusters = "".join(word for word in arguments if re.fullmatch(r"-[A-Za-z]+", word))
        return bool(re.search(r"[cru]", bundled + clusters)) or bool(
            {"--create", "--append", "--update"}.intersection(arguments)
        )
    if name in {"7z", "7za", "7zr", "rar"}:
        return first in {"a", "u"}
    if name == "jar":
        return "c" in first
    return name in {"zip", "pax", "cpio"} and not {"-i", "-p"}.intersection(arguments)


def _packs_wide(name: str, arguments: Sequence[str], operands: Sequence[str], piped: Sequence[Part]) -> bool:
    """The whole workspace, a list of names, or anything at all that is printed instead of kept in a file."""
    if name in {"tar", "gtar", "bsdtar"}:
        joined = " ".join(arguments)
        is_list = re.search(r"(?:^| )(?:-[A-Za-z]*T|--files-from)", joined)
        is_printed = not re.search(r"(?:^| )(?:[a-zA-Z]*f|-[A-Za-z]*f|--file)", joined) or re.search(
            r"(?:f|--file)[ =]-(?: |$)", joined
        )
        if is_list or is_printed:
            return True
        elsewhere = _values(arguments, ("-C", "--directory"))
        return any(map(_is_wide, operands)) and not (elsewhere and not any(map(_is_whole, elsewhere)))
    reads_list = name in {"cpio", "pax"} or "-@" in arguments
    return "-" in arguments or (reads_list and lists_secrets(piped)) or any(map(_is_wide, operands))


def _is_wide(word: str) -> bool:
    return _is_whole(word) or _meets_secret(word)


def _copies_folders(name: str, arguments: Sequence[str]) -> bool:
    letters = {letter for word in arguments if re.fullmatch(r"-[A-Za-z]+", word) for letter in word[1:]}
    named = {"--recursive", "--archive", "/s", "/e", "/S", "/E"}.intersection(arguments)
    return bool(letters & {"r", "R", "a"} or named) or name == "ditto"


def _git_reaches(arguments: Sequence[str]) -> bool:
    """A search of git over what it does not track."""
    wide = {"--no-index", "--untracked", "--no-exclude-standard"}.intersection(arguments)
    return "grep" in arguments[:6] and bool(wide)


def _values(arguments: Sequence[str], options: tuple[str, ...]) -> list[str]:
    """Return the values of options, attached or next."""
    return list(_each_value(arguments, options))


def _each_value(arguments: Sequence[str], options: tuple[str, ...]) -> Iterator[str]:
    for place, word in enumerate(arguments):
        for option in options:
            if word == option and place + 1 < len(arguments):
                yield arguments[place + 1]
            elif option.startswith("--") and word.startswith(f"{option}="):
                yield word.partition("=")[2]
            elif not option.startswith("--") and word.startswith(option) and len(word) > len(option):
                yield word[len(option) :]
