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

LIKELY_LINES = 8
"""So many lines more than `old` may lie between the places that are alike."""
_MAX_LINES = 30
_LIKE_BEST = 0.5
"""A place is alike when it shares so much of what the best one shares."""
_MAX_LINE_CHARS = 300
_EQUAL = "`old` and `new` are equal: `old` is the text as the file holds it now, `new` is what takes its place."
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+(?:\.\d+)*|[^\W\d_A-Za-z]+|[^\w\s]{2,}")
_LINE_END = re.compile(r"\r\n|\n|\r")
_ANY_END = r"(?:\r\n|\n|\r)"


def edited(text: str, old: str, new: str, *, count: int = 1, path: str, may_quote: bool = False) -> str:
    """Replace exactly `count` occurrences of `old`; `new` takes the line ends of the place.

    An occurrence may differ in trailing blanks and line ends. Raises ValueError where another number is found, or
    nothing would change: its first line says so and names `path`, the lines after it tell the model what to send
    instead. `may_quote`: whether it may quote the text, which the model has read; else an edit would show a file
    whose reading is not allowed.
    """
    places = list(_pattern(old).finditer(text))
    if not places:
        told = [f"The text does not occur in {path}: read the file again."]
        told += [_EQUAL] if old == new else []
        told += _advice(text, old, new) if may_quote else []
        raise ValueError("\n".join(told))
    if (found := len(places)) != count:
        raise ValueError(
            f"Found {found} occurrences of the text, expected {count}: give more of its surroundings.\n"
            f"To replace all {found}, send the same edit with `count` {found}."
        )
    pieces, end = [], 0
    for place in places:
        pieces += [text[end : place.start()], _with_ends_of(text, place.start(), new)]
        end = place.end()
    after = "".join([*pieces, text[end:]])
    if after == text:
        raise ValueError(f"The edit would change nothing in {path}.\n{_EQUAL}")
    return after


def _advice(text: str, old: str, new: str) -> list[str]:
    """Tell a model that has read the file what to send instead, and quote the part that it may have meant."""
    copy = "Keep this `new` and copy" if old == new else "The same `old` fails again. Copy"
    likely = _likely_lines(text, old)
    return [f"{copy} `old` from the file{'; most like it is this part:' if likely else '.'}", *likely]


def _likely_lines(text: str, old: str) -> list[str]:
    """Return the part of a file that shares most words with a text that was not found; rare words count more.

    Nothing where other places are as like it: a model copies what is quoted, with gaps too, and changes the wrong one.
    """
    wanted = _words(old)
    lines = text.splitlines()
    shared = [_words(line) & wanted if len(line) <= _MAX_LINE_CHARS else set() for line in lines]
    lines_with = Counter(word for words in shared for word in words)
    score = [sum(1 / lines_with[word] for word in sorted(words)) for words in shared]
    size = min(len(old.splitlines()), _MAX_LINES)
    near = _sums(_sums(score, size // 4 + 1), size // 4 + 1)
    best = max((near[at] for at in range(len(lines)) if score[at]), default=0.0)
    places = [at for at in range(len(lines)) if score[at] and near[at] >= best * _LIKE_BEST]
    if not places or places[-1] - places[0] >= size + LIKELY_LINES:
        return []
    part = lines[places[0] : places[-1] + 1]
    return part if all(len(line) <= _MAX_LINE_CHARS for line in part) else []


def _sums(values: list[float], reach: int) -> list[float]:
    """For each place the sum of the values around it."""
    total = [0.0, *accumulate(values)]
    return [total[min(at + reach + 1, len(values))] - total[max(at - reach, 0)] for at in range(len(values))]


def _words(text: str) -> set[str]:
    """The words in identifiers too: `maxAge_s` has max and age; operators such as `-=`; single letters say nothing."""
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
