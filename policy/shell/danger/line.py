"""The danger of a command line: the highest of its parts, and high where it is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from policy.shell.always_ask import names_of
from policy.shell.danger.cutting import Overflow, Part, cut
from policy.shell.danger.programs import Setting, is_harmful
from policy.shell.danger.secrets import SUBSTITUTED
from policy.shell.danger.targets import is_guarded, names_credentials
from policy.shell.danger.words import WORDS
from policy.verdicts.verdict import Danger

_KEYWORDS = names_of("if then else elif fi while until do done ! { } time coproc esac function case in")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:\[[^\]]*\])?\+?=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_EXPORTS = names_of("export declare typeset local readonly")
_RELATIVE_FOLDER = re.compile(r"(?:^|:)(?![/$~:]|$)|^$|::|:$")
_CODED = re.compile(r"\\(?!n)|%[^s%]")
"""Signs that printf or echo turn into other ones."""
_FROM_STDIN = frozenset({"-", "-s", "/dev/stdin"})


def danger_of(command: str, root: str | None = None) -> Danger:
    """Return `high` where a part may delete, force, gain rights, run code of the network or write a guarded file."""
    try:
        parts = cut(command)
        return "high" if _Line(root).is_harmful(parts) else "normal"
    except Overflow:
        return "high"


class _Line:
    """The state that the earlier parts of a line leave for the later ones: folder, variables, fetched files."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._values: dict[str, list[str]] = {}
        self._sources: dict[str, list[Part]] = {}
        """The commands whose output a variable holds."""
        self._folder = ""
        self._fetched: set[str] = set()
        self._has_fetched = False

    def is_harmful(self, parts: Sequence[Part]) -> bool:
        """Whether a part is harmful; they are examined in order."""
        return any(self._is_fed_by_network(parts, number) or self._part(parts, number) for number in range(len(parts)))

    def _part(self, parts: Sequence[Part], number: int) -> bool:
        part = parts[number]
        if self.is_harmful(part.inner):
            return True
        piped = tuple(other for other in parts[:number] if other.pipeline == part.pipeline)
        inner = (*part.inner, *(source for word in part.words for source in self._sources_of(word)))
        words = [known for word in part.words for known in self._split(word)]
        if self._loads_first(words):
            return True
        words = self._without_assignments(words, inner)
        for operator, target in part.redirects:
            is_file = ">" in operator and not re.fullmatch(r"&?[0-9-]", target)
            if is_file and operator == ">" and _prints_nothing(words):
                return True
            if is_file and any(is_guarded(self._joined(name), self._root) for name in self._resolved(target)):
                return True
        if any(names_credentials(word) for word in [*words, *(target for _, target in part.redirects)]):
            return True
        if not words:
            return False
        setting = Setting(self._root, self._folder, part.document, inner, piped)
        harmful = is_harmful(words, setting, self._text) or self._runs_fetched(words)
        self._note(words, part)
        if words[0] in {"read", "mapfile", "readarray"}:
            for word in words[1:]:
                self._values[word], self._sources[word] = [SUBSTITUTED], list(piped)
        return harmful

    def _text(self, text: str, depth: int) -> bool:
        """Examine a text that another program will read as commands."""
        return self.is_harmful(cut(text, depth))

    def _split(self, word: str) -> list[str]:
        """Cut the value of a variable into words, as a shell does where the variable is the whole word."""
        resolved = self._resolved(word)
        is_variable = word.startswith("$") and resolved != [word]
        return [piece for value in resolved for piece in value.split()] if is_variable else resolved

    def _resolved(self, word: str) -> list[str]:
        """Put the values of the line's own variables in; a variable that the line does not set stays."""
        found = re.search(r"\$\{?([A-Za-z_]\w*)\}?", word)
        if found is None or found.group(1) not in self._values:
            return [word]
        return [word.replace(found.group(), value) for value in self._values[found.group(1)]][:20] or [word]

    def _sources_of(self, word: str) -> list[Part]:
        return [part for name in _VARIABLE.findall(word) for part in self._sources.get(name, [])]

    def _loads_first(self, words: Sequence[str]) -> bool:
        """Say whether an assignment decides what another program loads or starts first."""
        assigned = [found for word in words if (found := _ASSIGNMENT.fullmatch(word))]
        if any(found[1] == "PATH" and _RELATIVE_FOLDER.search(found[2]) for found in assigned):
            return True
        return any(found[1] in WORDS["loaders"] for found in assigned)

    def _without_assignments(self, words: list[str], inner: Sequence[Part]) -> list[str]:
        """Drop keywords and assignments and note their values, and the commands that print them."""
        is_export = bool(words) and words[0] in _EXPORTS
        rest = words[1:] if is_export else list(words)
        while rest:
            if found := _ASSIGNMENT.fullmatch(rest[0]):
                self._values[found.group(1)], self._sources[found.group(1)] = [found.group(2)], list(inner)
            elif rest[0] in {"for", "select"} and len(rest) > 2:
                self._values[rest[1]], self._sources[rest[1]] = rest[3:], list(inner)
                return []
            elif rest[0].lower() not in _KEYWORDS:
                break
            rest.pop(0)
        return [] if is_export else rest

    def _joined(self, target: str) -> str:
        return target if re.match(r"[/~$%]|[A-Za-z]:", target) or not self._folder else f"{self._folder}/{target}"

    def _note(self, words: Sequence[str], part: Part) -> None:
        """Record the folder and the fetched files."""
        name = words[0].rpartition("/")[2].lower()
        if name in {"cd", "pushd", "chdir", "set-location"} and len(words) > 1:
            self._folder = self._joined(words[-1])
        if name in WORDS["downloads"] or (name == "git" and "clone" in words):
            self._has_fetched = True
            written = [word for option, word in pairwise(words) if option in WORDS["output_options"]]
            attached = [word[2:] for word in words if re.match(r"-[oO][^-]", word)]
            urls = [word for word in words[1:] if "/" in word and not word.startswith("-")]
            targets = [target for operator, target in part.redirects if ">" in operator]
            for place in [*written, *attached, *urls, *targets]:
                self._fetched.add(place.rstrip("/").rpartition("/")[2].removesuffix(".git"))

    def _runs_fetched(self, words: Sequence[str]) -> bool:
        """Say whether a command starts what an earlier part of the line fetched."""
        if not self._has_fetched:
            return False
        name = words[0].rpartition("/")[2].lower()
        starts = name in WORDS["shells"] | WORDS["interpreters"] | {"source", ".", "chmod", "java"}
        if "/" in words[0] and (words[0].startswith(".") or words[0].startswith("/tmp")):  # noqa: S108
            return True
        return starts and any(word.rpartition("/")[2] in self._fetched for word in words[1:])

    def _is_fed_by_network(self, parts: Sequence[Part], number: int) -> bool:
        """Say whether a shell or an interpreter reads its program from something that was fetched."""
        part = parts[number]
        runner = next((name for name in _names(part) if name in _RUNNERS), None)
        if runner is None:
            return False
        if any(_fetches(inner) for inner in part.inner):
            return True
        before = [other for other in parts[:number] if other.pipeline == part.pipeline]
        if not before:
            return False
        if any(_fetches(other) for other in before):
            operands = {word for word in part.words[1:] if not word.startswith("-") or word in _FROM_STDIN}
            is_script_read = operands <= _FROM_STDIN and "-m" not in part.words and "-c" not in part.words
            return runner not in WORDS["interpreters"] or is_script_read
        if runner in WORDS["shells"] or runner in {"iex", "invoke-expression"}:
            return self._feeds_unknown(before)
        return False

    def _feeds_unknown(self, before: Sequence[Part]) -> bool:
        """Whether a shell reads unknown commands from a pipe; known text is examined where it is written."""
        first = before[0]
        text = " ".join(first.words)
        if first.words and first.words[0] in {"echo", "printf"} and len(before) == 1 and not _CODED.search(text):
            return self._text(" ".join(first.words[1:]).replace("\\n", "\n"), 1)
        return True


_RUNNERS = (
    WORDS["shells"]
    | WORDS["interpreters"]
    | frozenset({"eval", "source", ".", "xargs", "iex", "invoke-expression", "parallel", "at", "crontab"})
)


def _names(part: Part) -> Iterator[str]:
    for word in part.words:
        yield word.rpartition("/")[2].lower().removesuffix(".exe")


def _prints_nothing(words: Sequence[str]) -> bool:
    """A redirection without output empties its file."""
    return not words or words[0] in {":", "true"} or list(words) == ["cat", "/dev/null"]


def _fetches(part: Part) -> bool:
    names = list(_names(part))
    return any(name in WORDS["downloads"] for name in names[:6]) or any(_fetches(inner) for inner in part.inner)
