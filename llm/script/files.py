"""Files as the scripted model treats them: what is in one, what to put into a new one, how to change one."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

_DEFINITIONS = {
    "py": r"^[ \t]*(?:async[ \t]+)?(?P<kind>def|class)[ \t]+(?P<name>\w+)",
    "dart": r"^[ \t]*(?:(?P<kind>class|enum|mixin|extension)[ \t]+(?P<name>\w+)"
    r"|[\w<>?\[\], ]+[ \t]+(?P<func>\w+)\([^;{]*\)[ \t]*(?:async[ \t]*)?(?:\{|=>))",
    "js": r"^[ \t]*(?:export[ \t]+)?(?:default[ \t]+)?(?:async[ \t]+)?"
    r"(?P<kind>function|class|interface|const(?=[ \t]+\w+[ \t]*=[ \t]*(?:async[ \t]*)?\())[ \t]+(?P<name>\w+)",
    "go": r"^(?P<kind>func|type)[ \t]+(?:\([^)]*\)[ \t]*)?(?P<name>\w+)",
    "rs": r"^[ \t]*(?:pub[ \t]+)?(?P<kind>fn|struct|enum|trait)[ \t]+(?P<name>\w+)",
    "java": r"^[ \t]*(?:(?:public|private|protected|static|final|abstract)[ \t]+)*"
    r"(?P<kind>class|interface|enum)[ \t]+(?P<name>\w+)",
    "sh": r"^(?P<name>\w+)[ \t]*\(\)",
}
_FAMILY = {"ts": "js", "tsx": "js", "jsx": "js", "mjs": "js", "kt": "java", "bash": "sh", "pyi": "py"}
_LINE_COMMENTS = {
    **dict.fromkeys(("py", "sh", "bash", "yml", "yaml", "toml", "rb", "pl", "r", "ini", "cfg", "env", "makefile"), "#"),
    **dict.fromkeys(
        ("js", "ts", "jsx", "tsx", "dart", "go", "rs", "java", "kt", "c", "h", "cpp", "cs", "swift", "php"), "//"
    ),
    "sql": "--",
    "lua": "--",
}
_BODIES = {
    "add": "return {0} + {1}",
    "sum": "return {0} + {1}",
    "subtract": "return {0} - {1}",
    "sub": "return {0} - {1}",
    "multiply": "return {0} * {1}",
    "mul": "return {0} * {1}",
    "divide": "return {0} / {1}",
    "square": "return {0} * {0}",
    "double": "return 2 * {0}",
}
_CALL = re.compile(r"\b(?P<name>[a-zA-Z_]\w*)\((?P<parameters>[\w, ]*)\)")
_HELLO = re.compile(r"hello,?\s+world|привет,?\s+мир", re.IGNORECASE)


_LETTERS = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
        "a b v g d e e zh z i y k l m n o p r s t u f h c ch sh sch _ y _ e yu ya".replace("_", "").split(" "),
        strict=True,
    )
)
_LANGUAGES = (
    (r"dart|flutter", "lib/{}.dart"),
    (r"typescript|angular", "src/{}.ts"),
    (r"javascript|node|react|vue|website|web\s*site|сайт", "src/{}.js"),
    (r"html", "{}.html"),
)
_LINKING_WORDS = frozenset({"a", "an", "the", "of", "for", "on", "in", "with", "that", "which", "s", "so"})
_PROGRAM_WORDS = re.compile(
    r"\b(?:functions?|class|scripts?|programs?|modules?|app|applications?|components?|forms?|pages?|api|tests?|server"
    r"|service|site)\b"
    r"|функци|класс|скрипт|программ|приложени|форм|страниц|модул|тест|сервер|сервис|сайт",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FileFacts:
    """What can be said about a file without understanding it."""

    lines: int
    heading: str | None
    """The first heading or, without one, the first line that says something."""
    headings: tuple[str, ...]
    definitions: tuple[str, ...]
    """Such as `function main` or `class Cart`, in order."""
    marks: tuple[str, ...]
    """TODO and FIXME lines, as `12: text`."""
    fault: str | None
    """A syntax error, for Python and JSON."""


def suffix(path: str) -> str:
    """Return what follows the last dot of the file name, in lower case; the whole name when there is no dot."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower()


def facts_of(path: str, content: str) -> FileFacts:
    """Look at `content` as the language that the name of the file suggests."""
    lines = content.splitlines()
    kind = suffix(path)
    headings = (
        tuple(re.findall(r"^#{1,6}[ \t]+(.+?)[ \t]*$", content, re.MULTILINE)) if kind in {"md", "markdown"} else ()
    )
    first = next((line.strip() for line in lines if line.strip(" \t#/*-\"'`")), None)
    marks = tuple(f"{n}: {line.strip()}" for n, line in enumerate(lines, 1) if re.search(r"\b(?:TODO|FIXME)\b", line))
    return FileFacts(
        lines=len(lines),
        heading=headings[0] if headings else first,
        headings=headings,
        definitions=_definitions(kind, content),
        marks=marks,
        fault=_fault(kind, content),
    )


def _definitions(kind: str, content: str) -> tuple[str, ...]:
    if kind == "json":
        try:
            value = json.loads(content)
        except ValueError:
            return ()
        return tuple(f"key {key}" for key in value) if isinstance(value, dict) else ()
    pattern = _DEFINITIONS.get(_FAMILY.get(kind, kind))
    if pattern is None:
        return ()
    found = []
    for match in re.finditer(pattern, content, re.MULTILINE):
        groups = match.groupdict()
        word = groups.get("kind") or "function"
        word = "function" if word in {"def", "func", "fn", "const"} else word
        name = groups.get("name") or groups.get("func")
        if name not in {"if", "for", "while", "switch", "catch", "return"}:
            found.append(f"{word} {name}")
    return tuple(found)


def _fault(kind: str, content: str) -> str | None:
    try:
        if kind == "py":
            ast.parse(content)
        elif kind == "json":
            json.loads(content)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except ValueError as error:
        return str(error)
    return None


def path_for(topic: str, words: str | None = None) -> str:
    """Name a file for a topic; `words` (by default the topic) tell the language, and whether it is a program at all."""
    words = topic if words is None else words
    pattern = next((path for sign, path in _LANGUAGES if re.search(sign, words, re.IGNORECASE)), None)
    if pattern is None:
        pattern = "src/{}.py" if _PROGRAM_WORDS.search(words) else "{}.md"
    return pattern.format(slug(topic))


def slug(text: str) -> str:
    """Make a file name from a few words of any of the two languages."""
    latin = "".join(_LETTERS.get(letter, letter) for letter in text.lower())
    words = [word for word in re.findall(r"[a-z0-9]+", latin) if word not in _LINKING_WORDS]
    return "_".join(words[:3]) or "main"


def new_content(path: str, wish: str) -> str:
    """Make sensible content for a new file from its name and the words of the wish."""
    kind = suffix(path)
    name = re.sub(r"[_\-.]+", " ", path.rpartition("/")[2].rpartition(".")[0] or path).strip() or "file"
    title = name[:1].upper() + name[1:]
    says = "Hello, world!" if _HELLO.search(wish) else f"{title} works"
    function = _CALL.search(wish)
    if kind == "py":
        return _python(path, title, says, wish, function)
    if kind == "dart":
        return f"/// {title}.\nvoid main() {{\n  print('{says}');\n}}\n"
    if kind in {"js", "mjs", "ts", "jsx", "tsx"}:
        return f"// {title}.\nfunction main() {{\n  console.log('{says}');\n}}\n\nmain();\n"
    if kind in {"sh", "bash"}:
        return f"#!/usr/bin/env bash\nset -euo pipefail\n\necho '{says}'\n"
    if kind in {"html", "htm"}:
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n  <meta charset="utf-8">\n  <title>{title}</title>\n</head>\n'
            f"<body>\n  <h1>{title}</h1>\n</body>\n</html>\n"
        )
    if kind == "css":
        return "body {\n  font-family: sans-serif;\n  margin: 2rem;\n}\n"
    if kind == "json":
        return json.dumps({"name": name.replace(" ", "-").lower(), "version": "0.1.0"}, indent=2) + "\n"
    if kind in {"yml", "yaml"}:
        return f"name: {name.replace(' ', '-').lower()}\nversion: 0.1.0\n"
    if kind in {"md", "markdown"}:
        return f"# {title}\n\n{_sentence(wish)}\n\n## Overview\n\n- Purpose: {title.lower()}\n- Status: draft\n"
    return f"{says if _HELLO.search(wish) else _sentence(wish)}\n"


def _python(path: str, title: str, says: str, wish: str, function: re.Match[str] | None) -> str:
    other = next((found for found in re.findall(r"[\w./-]+\.py\b", wish) if found != path), None)
    if path.rpartition("/")[2].startswith("test_"):
        subject = other or path
        return (
            f'"""Checks of {subject}."""\n\nfrom pathlib import Path\n\n\ndef test_it_is_valid_python() -> None:\n'
            f'    compile(Path("{subject}").read_text(encoding="utf-8"), "{subject}", "exec")\n'
        )
    if function is None:
        return (
            f'"""{title}."""\n\n\ndef main() -> None:\n    """Run the program."""\n    print("{says}")\n\n\n'
            'if __name__ == "__main__":\n    main()\n'
        )
    return f'"""{title}."""\n\n\n{_python_function(function)}'


def _python_function(found: re.Match[str]) -> str:
    name = found["name"]
    parameters = [part.strip() for part in found["parameters"].split(",") if part.strip()]
    body = _BODIES.get(name.lower(), "")
    if body and len(parameters) > body.count("{1}"):
        body = body.format(*parameters)
    elif name.lower().startswith(("greet", "hello")) and parameters:
        body = f'return f"Hello, {{{parameters[0]}}}!"'
    else:
        body = f'raise NotImplementedError("{name}")'
    return f"def {name}({', '.join(parameters)}):\n    {body}\n"


def _sentence(wish: str) -> str:
    text = " ".join(wish.split())
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else "Nothing to say yet."


def insertion(path: str, text: str, what: str) -> str:
    """Make the lines to insert: a heading with a body, a comment, a function, or the text itself."""
    kind = suffix(path)
    if what == "section" and kind in {"md", "markdown"} and not text.startswith("#"):
        return f"## {text or 'Notes'}\n\n{text or 'Notes'}.\n"
    if what == "comment":
        sign = _LINE_COMMENTS.get(kind)
        comment = text or "Checked by the scripted model."
        if sign is None:
            return f"<!-- {comment} -->\n" if kind in {"md", "html", "xml"} else f"{comment}\n"
        return comment + "\n" if comment.startswith(sign) else f"{sign} {comment}\n"
    if what == "function" and kind == "py" and (found := _CALL.search(text)) and "def " not in text:
        return _python_function(found)
    return text if text.endswith("\n") else text + "\n"


def with_insertion(path: str, content: str, text: str, *, what: str, at_start: bool) -> str:
    """Put `text` at the start or the end of `content`, on lines of its own."""
    addition = insertion(path, text, what)
    if at_start:
        head = re.match(r"#!.*\n", content)
        cut = head.end() if head else 0
        return content[:cut] + addition + content[cut:]
    before = content if not content or content.endswith("\n") else content + "\n"
    gap = {"section": "\n", "function": "\n\n"}.get(what, "") if before else ""
    return before + gap + addition


def without(content: str, text: str) -> str:
    """Take every occurrence of `text` out; lines that were nothing but `text` go as a whole."""
    kept = [line for line in content.splitlines(keepends=True) if line.strip() != text.strip()]
    return "".join(kept).replace(text, "")
