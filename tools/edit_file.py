"""`edit_file`: replace text in a file, and the search for the text."""

import re

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

_LINE_END = re.compile(r"\r\n|\n|\r")
_ANY_END = r"(?:\r\n|\n|\r)"


def edited(text: str, old: str, new: str, *, count: int = 1, path: str) -> str:
    """Replace exactly `count` occurrences of `old`; `new` takes the line ends of the place.

    An occurrence may differ in trailing blanks and line ends. Raises ValueError with a sentence for the model where
    another number is found; `path` is named in it.
    """
    places = list(_pattern(old).finditer(text))
    if not places:
        raise ValueError(f"The text does not occur in {path}: read the file again.")
    if (found := len(places)) != count:
        raise ValueError(f"Found {found} occurrences of the text, expected {count}: give more of its surroundings.")
    pieces, end = [], 0
    for place in places:
        pieces += [text[end : place.start()], _with_ends_of(text, place.start(), new)]
        end = place.end()
    return "".join([*pieces, text[end:]])


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
