"""The hard denials: a short list that no approval overrides. It catches accidents and is no security boundary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policy.shell.always_ask import names_of

MAX_SCANNED = 20_000
"""A longer text is never proved, so it asks; scanning stops here to stay fast."""

_MAX_DEPTH = 3
_MAX_PLACES = 5
"""Wrappers behind wrappers are followed this deep and wide: the work must stay small for any text."""

_FUNCTION = re.compile(
    r"([\w:.@-]{1,40})\s{0,20}\(\s{0,20}\)\s{0,20}\{([^{}]{0,400})\}\s{0,20};?\s{0,20}([\w:.@-]{1,40})"
)
_DEVICE = re.compile(r"/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|disk|rdisk|md|dm-|mapper/|loop)[\w/.-]*")
_REDIRECT_TO_DEVICE = re.compile(r">[>|&]?\s*[\"']?(?:" + _DEVICE.pattern + r")")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_DRIVE_ROOT = re.compile(r"[a-z]:[\\/]*\*?(?:\.\*)?", re.IGNORECASE)
_ROOT = re.compile(r"/[./]*\*?(?:\.\*)?")
_HOME = re.compile(r"(?:~|\$HOME|%USERPROFILE%|\$env:USERPROFILE)(?:/[./]*\*?(?:\.\*)?)?", re.IGNORECASE)
_DOCUMENT = re.compile(r"<<-?\s{0,20}[\"\']?(\w{1,60})")
_SEPARATORS = re.compile(r"(&&|\|\||[;|&\n(){}`]|[$<>]\()")
_BLANK_VARIABLE = re.compile(r"\$\{IFS\}|\$IFS")
_KEYWORDS = names_of("if then else elif while until do ! { ( time coproc")
_WRAPPERS = names_of(
    "sudo su doas pkexec env timeout nohup nice ionice setsid stdbuf time command exec builtin xargs parallel "
    "watch busybox toybox chroot eval find fd ssh nsenter unshare strace script runuser flock start"
)
_TEXT_READERS = frozenset({"eval", "su", "ssh", "xargs", "watch"})
_INTERPRETERS = names_of("python python2 python3 node nodejs perl ruby php deno bun lua osascript awk gawk")
_SHELLS = names_of("sh bash zsh dash ksh fish ash csh tcsh cmd powershell pwsh")


def hard_deny_in(command: str, argvs: Sequence[Sequence[str]] | None) -> str | None:
    """Return what a command would destroy, or None; `argvs` are its parsed words, None when it could not be parsed."""
    text = command[:MAX_SCANNED]
    if any(_is_bomb(found) for found in _FUNCTION.finditer(text)):
        return "it is a fork bomb"
    if argvs is None:
        return _in_text(text, depth=0)
    feeds_shell = any(argv and _base(argv[0]) in _SHELLS for argv in argvs)
    for argv in argvs:
        if found := _in_words(argv, 0):
            return found
        if feeds_shell and (found := _in_text(" ".join(argv[1:]), depth=1)):
            return found
    return None


def _is_bomb(function: re.Match[str]) -> bool:
    """A function that pipes itself into itself in the background, and is then called."""
    name, body, called = function.groups()
    return called == name and "|" in body and "&" in body and body.count(name) > 1


def _in_text(text: str, depth: int) -> str | None:
    """Scan text that is no parsed line: the words of every part between separators, outside quotes."""
    if depth > _MAX_DEPTH:
        return None
    text = _without_documents(text)
    if _REDIRECT_TO_DEVICE.search(text):
        return "it writes to a block device"
    for words in _rough_parts(text):
        if found := _in_words(words, depth):
            return found
    return None


def _without_documents(text: str) -> str:
    """Drop the bodies of here-documents that no shell reads: they are data."""
    if "<<" not in text:
        return text
    head = text.partition("\n")[0]
    if any(_base(word) in _SHELLS for word in re.split(r"[\s;|&]+", head)):
        return text
    kept: list[str] = []
    ends_with: str | None = None
    for line in text.split("\n"):
        if ends_with is None:
            kept.append(line)
            opened = _DOCUMENT.search(line)
            ends_with = opened.group(1) if opened else None
        elif line.strip() == ends_with:
            ends_with = None
    return "\n".join(kept)


def _rough_parts(text: str) -> Iterator[list[str]]:
    """Yield the words at each place where a command may begin; what stands in single quotes is never cut."""
    plain = _BLANK_VARIABLE.sub(" ", text.replace("\\\n", "")).replace("${HOME}", "$HOME")
    masked = re.sub(r"'[^']*'", lambda found: _SEPARATORS.sub("\x00", found.group()), plain)
    begins, in_backticks = True, False
    for piece in _SEPARATORS.split(masked):
        if _SEPARATORS.fullmatch(piece):
            in_backticks ^= piece == "`"
            begins = piece not in ")}" and (piece != "`" or in_backticks)
        elif begins and (words := [_unquoted(word) for word in re.split(r"[\s\x00]+", piece) if word]):
            yield words


def _unquoted(word: str) -> str:
    bare = word.replace('"', "").replace("'", "")
    return bare if _DRIVE.match(bare) else bare.replace("\\", "")


def _in_words(words: Sequence[str], depth: int) -> str | None:
    """Examine a command at the start, after assignments and keywords, and at any position behind a wrapper."""
    start = 0
    while start < len(words) and (words[start] in _KEYWORDS or re.match(r"\w+=", words[start])):
        start += 1
    if start == len(words):
        return None
    name = _base(words[start])
    if found := _named(name, words[start + 1 :]):
        return found
    return _behind(name, words[start + 1 :], depth) if depth <= _MAX_DEPTH else None


def _behind(name: str, words: Sequence[str], depth: int) -> str | None:
    """Examine the program that a wrapper starts, and the text that a shell or an interpreter is given."""
    if name in _INTERPRETERS:
        parts = [part.split() for part in re.split(r"['\"`;()]", " ".join(words))]
        return next((found for part in parts if len(part) > 1 and (found := _in_words(part, depth + 1))), None)
    if name in _SHELLS or name in _TEXT_READERS:
        for word in words:
            if " " in word and (found := _in_text(word, depth + 1)):
                return found
    if name not in _WRAPPERS | _SHELLS or (name == "command" and {"-v", "-V"}.intersection(words)):
        return None
    for place in _program_places(name, words):
        if found := _in_words(words[place:], depth + 1):
            return found
    return None


def _program_places(name: str, words: Sequence[str]) -> Iterator[int]:
    """Yield where the program of a wrapper may stand: after options, their values, numbers and assignments."""
    if name == "find":
        yield from (place + 1 for place, word in enumerate(words) if word in {"-exec", "-execdir", "-ok", "-okdir"})
        return
    skipped = 1 if name in {"ssh", "su", "chroot", "flock", "timeout", "nsenter"} else 0
    yielded = 0
    for place, word in enumerate(words[:60]):
        if word.startswith("-") or re.fullmatch(r"\w+=.*|/[a-z]|[0-9.]+[smhd]?", word):
            continue
        yield place
        yielded += 1
        if yielded == _MAX_PLACES:
            return
        if not (place and words[place - 1].startswith("-")):
            if not skipped:
                return
            skipped -= 1


def _base(name: str) -> str:
    base = re.split(r"[/\\]", name)[-1].lower()
    return base.removesuffix(".exe")


def _named(name: str, arguments: Sequence[str]) -> str | None:
    if name in {"rm", "rd", "rmdir", "del", "erase", "remove-item", "ri"} and _is_recursive(name, arguments):
        if any(_is_everything(word) for word in arguments):
            return "it deletes a whole disk, the system or the home directory"
    elif name == "find" and any(word in {"-delete", "rm"} for word in arguments):
        if arguments and _is_everything(arguments[0]):
            return "it deletes a whole disk, the system or the home directory"
    elif name in {"mkfs", "mke2fs", "mkswap", "newfs", "wipefs", "mkdosfs"} or name.startswith(("mkfs.", "newfs_")):
        return "it makes a new file system"
    elif (
        (name == "format" and any(_DRIVE_ROOT.fullmatch(word) for word in arguments))
        or (name in {"diskutil"} and any(word.lower().startswith(("erase", "partition", "zero")) for word in arguments))
        or name in {"format-volume", "clear-disk", "initialize-disk"}
    ):
        return "it formats a drive"
    elif name in {"dd", "tee", "cp", "shred", "cat", "truncate", "mv", "blkdiscard"}:
        if any(_DEVICE.fullmatch(word.removeprefix("of=")) for word in _written(name, arguments)):
            return "it writes to a block device"
    elif _shuts_down(name, arguments):
        return "it shuts the machine down"
    return None


def _is_recursive(name: str, arguments: Sequence[str]) -> bool:
    if name == "rm":
        return any(re.fullmatch(r"-[a-z]*r[a-z]*|--recursive|--recurs\w*", word, re.IGNORECASE) for word in arguments)
    if name in {"remove-item", "ri"}:
        return any(word.lower().startswith("-r") for word in arguments)
    return any(word.lower() == "/s" for word in arguments)


def _is_everything(word: str) -> bool:
    return any(pattern.fullmatch(word) for pattern in (_ROOT, _HOME, _DRIVE_ROOT))


def _written(name: str, arguments: Sequence[str]) -> list[str]:
    if name == "dd":
        return [word for word in arguments if word.startswith("of=")]
    if name == "cat":
        return []
    operands = [word for word in arguments if not word.startswith("-")]
    return operands[-1:] if name in {"cp", "mv"} else operands


def _shuts_down(name: str, arguments: Sequence[str]) -> bool:
    """Only what leaves the machine off: a restart asks, as any other change does."""
    if name in {"shutdown", "stop-computer"}:
        return not {"-c", "-r", "/r", "/a", "--reboot", "-k", "--help"}.intersection(arguments)
    if name in {"poweroff", "halt"}:
        return "--help" not in arguments
    if name in {"init", "telinit"}:
        return list(arguments[:1]) == ["0"]
    return name == "systemctl" and bool({"poweroff", "halt"}.intersection(arguments))
