"""JSON objects as models write them: in a fence, between tokens, with Python's quotes, commas at the end, comments."""

from __future__ import annotations

import ast
import json
import re

MAX_CHARS = 200_000
MAX_TOKENS_AROUND = 6
_BEFORE = re.compile(r"\ufeff|\s+|```(?:json)?|null(?=\s*\{)|\{\}(?=\s*\{)|\[(?=\s*\{)")
_BEHIND = re.compile(r"(?:```|(?<=[}\s])(?:\{\}|\])|<[/|｜]?[\w:|｜▁]{1,30}>)\Z")
_LONGEST_BEHIND = 40
_NO_JSON = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])|//[^\n]*', re.DOTALL)
_OTHER_ESCAPE = re.compile(r"""(?<!\\)(?:\\\\)*\\(?!["'\\nrtbf]|u[0-9a-fA-F]{4})""")
"""An escape that Python and JSON read differently, or that JSON does not know."""


def strict_json(text: str) -> str | None:
    """Return the one object that a text can only mean, as strict JSON; None where it may be cut, or means another.

    Nothing is completed: an object without its end stays unread.
    """
    if len(text) > MAX_CHARS:
        return None
    core = _bare(text)
    if not core.startswith("{") or not core.endswith("}"):
        return None
    for candidate in (core, _NO_JSON.sub(lambda found: found[1] or "", core)):
        try:
            json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return candidate
    return _from_python(core)


def _bare(text: str) -> str:
    """Take off what stands round an object and says nothing."""
    for _ in range(MAX_TOKENS_AROUND):
        if found := _BEFORE.match(text):
            text = text[found.end() :]
        text = text.rstrip()
        if found := _BEHIND.search(text, max(0, len(text) - _LONGEST_BEHIND)):
            text = text[: found.start()].rstrip()
    return text


def _from_python(text: str) -> str | None:
    """Read a literal of Python, whose keys are all different."""
    if _OTHER_ESCAPE.search(text):
        return None
    try:
        tree = ast.parse(text, mode="eval").body
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict) and len({ast.dump(key) for key in node.keys if key}) < len(node.keys):
                return None
        return json.dumps(ast.literal_eval(tree), ensure_ascii=False)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
