"""Sentences and names: plain technical words, references that lead to a heading, docstrings that say what is done."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.test_docs import ROOT, is_ours

AVOIDED = {
    "anew": "again",
    "bell": "notification",
    "desk": "fake workspace",
    "door": "entry point",
    "ear": "listener",
    "gave up": "stopped, cancelled",
    "give up": "stop, cancel",
    "gives up": "stops, cancels",
    "insist": "reprompt",
    "insisted": "reprompted",
    "insisting": "reprompting",
    "nobody looked at": "without approval",
    "nobody looks at": "without approval",
    "nudge": "reprompt",
    "room": "package, folder, space",
    "somebody": "a user, another client, another worker",
    "stranger": "untrusted",
    "whoever": "any",
}
"""Words that are avoided in names, comments, docstrings, messages and documents, each with what to write instead."""

EXEMPT = {"tests/test_wording.py", "CHANGELOG.md", "storage/migrations", "prompts", "tests/chaos"}
"""This list, old names, revisions (never edited), texts for models, and the tests of faults (kept word for word)."""

_AVOIDED = re.compile(rf"\b({'|'.join(AVOIDED)})s?\b", re.IGNORECASE)
_REFERENCE = re.compile(r"docs/([\w-]+)\.md, ([^)\n;:]+)\)")


def test_no_avoided_word_is_used() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]} (write: {AVOIDED[word]})"
        for path in _files("*.py", "*.md", "*.sql", "*.toml", "*.yml", "*.yaml", "*.sh")
        for line, text in _texts(path)
        for match in _AVOIDED.finditer(text)
        if (word := _singular(match[1].lower()))
    ]
    assert found == []


def test_no_docstring_only_points_elsewhere() -> None:
    found = []
    for path in _files("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                if re.match(r"See [A-Z`]", text):
                    found.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert found == []


def test_references_to_documents_name_a_heading() -> None:
    references = [
        (path, page, heading.strip('`" ').lower())
        for path in _files("*.py")
        for page, named in _REFERENCE.findall(path.read_text(encoding="utf-8"))
        for heading in re.split(r" and |, ", named)
    ]
    headings = {page: _headings(page) for page in {page for _, page, _ in references}}
    assert len(references) > 20
    missing = [(path, page, heading) for path, page, heading in references if heading not in headings[page]]
    assert [f"{path.relative_to(ROOT)}: {page}.md, {heading}" for path, page, heading in missing] == []


def test_references_name_no_numbered_section_() -> None:
    numbered = re.compile(r"(?:protocol|policy)(?:\.md)?`?,? (?:sections? \d|S\d)|\(sections? \d")
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in _files("*.py", "*.sql", "*.toml", "*.md")
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := numbered.search(text))
    ]
    assert found == []


def _headings(page: str) -> set[str]:
    """The headings of a page and the first cells of its tables, in lower case."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").lower()
    return set(re.findall(r"^(?:#+|\|) `?([^`|\n]+?)`?(?: \|.*)?$", text, re.MULTILINE))


def _files(*patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in ROOT.rglob(pattern) if is_ours(path)]
    return [path for path in found if not any(path.relative_to(ROOT).as_posix().startswith(name) for name in EXEMPT)]


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of what is read by people; in tests no strings but docstrings: those are data."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), start=1)
        return
    is_test = path.relative_to(ROOT).parts[0] == "tests"
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], re.sub(r"(?<=[a-z])(?=[A-Z])", " ", token.string).replace("_", " ")
        elif token.type == tokenize.COMMENT or (
            tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
            and (not is_test or token.string.startswith('"""'))
        ):
            yield token.start[0], token.string


def _singular(word: str) -> str:
    return word if word in AVOIDED else word.removesuffix("s")
