"""`edit_file`: replace text in a file, and the search for the text."""

import re
from collections import Counter
from itertools import accumulate

from tools.tool import Tool, arguments_schema

EDIT_FILE = Tool(
    name="edit_file",
    description="Replace `old` by `new` in a file that you have read; prefer it to write_file for a change. `old` is "
    "copied exactly from the file, with enough of its surroundings that it occurs `count` times.",
    parameters=arguments_schema(
        {
            "path": {"type": "string"},
            "old": {"type": "string", "minLength": 1},
            "new": {"type": "string"},
            "count": {"type": "integer", "minimum": 1, "default": 1},
        },
        required=["path", "old", "new"],
    ),
    access="write",
    paths={"path": "file"},
    ask_reason="File modification requires user approval",
    declared=True,
    made_of=("read_file", "write_file"),
    judged_as="write_file",
)

LIKELY_LINES = 10
_MAX_LIKELY_LINES = 30
_MAX_LINE_CHARS = 300
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z]+")
_LINE_END = re.compile(r"\r\n|\n|\r")
_ANY_END = r"(?:\r\n|\n|\r)"


def edited(text: str, old: str, new: str, *, count: int = 1, path: str, may_quote: bool = False) -> str:
    """Replace exactly `count` occurrences of `old`; `new` takes the line ends of the place.

    An occurrence may differ in trailing blanks and line ends. Raises ValueError where another number is found: its
    first line says so and names `path`, the lines after it tell the model what to send instead. `may_quote`: whether
    it may quote the text, which the model has read; else an edit would show a file whose reading is not allowed.
    """
    places = list(_pattern(old).finditer(text))
    if not places:
        likely = _likely_lines(text, old) if may_quote else ""
        raise ValueError(f"The text does not occur in {path}: read the file again.{likely}")
    if (found := len(places)) != count:
        raise ValueError(
            f"Found {found} occurrences of the text, expected {count}: give more of its surroundings.\n"
            f"To replace all {found}, send the same edit with `count` {found}."
        )
    pieces, end = [], 0
    for place in places:
        pieces += [text[end : place.start()], _with_ends_of(text, place.start(), new)]
        end = place.end()
    return "".join([*pieces, text[end:]])


def _likely_lines(text: str, old: str) -> str:
    """Quote the part of a file that shares most words with a text that was not found; rare words count more.

    It has no gaps: a model copies what it reads as if all lines followed each other.
    """
    wanted = _words(old)
    lines = text.splitlines()
    shared = [_words(line) & wanted if len(line) <= _MAX_LINE_CHARS else set() for line in lines]
    lines_with = Counter(word for words in shared for word in words)
    score = [sum(1 / lines_with[word] for word in sorted(words)) for words in shared]
    size = min(max(LIKELY_LINES, len(old.splitlines())), _MAX_LIKELY_LINES)
    total = [0.0, *accumulate(score)]
    start = max(range(len(lines)), key=lambda at: total[min(at + size, len(lines))] - total[at], default=0)
    alike = [at for at in range(start, min(start + size, len(lines))) if score[at]]
    if not alike:
        return ""
    quoted = "\n".join(lines[alike[0] : alike[-1] + 1])
    return f"\nThe same `old` fails again. Copy `old` from the file; most like it is this part:\n{quoted}"


def _words(text: str) -> set[str]:
    """The words in identifiers too: `maxAge_s` has max and age; single letters say nothing."""
    return {word.lower() for word in _WORD.findall(text) if len(word) > 1 or word.isdigit()}


def _pattern(old: str) -> re.Pattern[str]:
    *lines, last = _LINE_END.split(old)
    stripped = last.rstrip(" \t")
    tail = re.escape(last)
    if stripped != last and (stripped or lines):
        tail = f"(?:{tail}|{re.escape(stripped)}[ \t]*(?={_ANY_END}|\\Z))"
    whole = [re.escape(line.rstrip(" \t")) + f"[ \t]*{_ANY_END}" for line in lines]
    # A match that begins with blanks starts at the first of them, so that a long run is scanned once.
    begin = r"(?<![ \t])" if lines and not lines[0].strip(" \t") else ""
    return re.compile(begin + "".join(whole) + tail)


def _with_ends_of(text: str, start: int, new: str) -> str:
    """Convert the line ends of `new` to the one after the match, else to one of the text, if there is any."""
    found = _LINE_END.search(text, start) or _LINE_END.search(text)
    return _LINE_END.sub(found[0], new) if found else new
