"""What a request asks for: a chain of small jobs, read from plain English or Russian by patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from llm.script.clauses import IT, PATH, POLITE, QUOTED, MaskedText, clauses, path_in, quote_in
from llm.script.files import path_for

Kind = Literal[
    "list", "read", "explain", "tour", "debug", "create", "replace", "insert", "remove", "mkdir", "run", "search",
    "calculate", "echo", "switch", "improve",
]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One thing to do."""

    kind: Kind
    path: str = ""
    text: str = ""
    """What to write, find, run or compute."""
    other: str = ""
    """For replace: the new text; for insert: what it is (line, section, comment, function)."""
    lines: tuple[int, int] | None = None
    at_start: bool = False
    wish: str = ""
    """The clause itself, for generated content and reports."""


_EXPRESSION = re.compile(r"(?:sqrt|abs|round|min|max|pi|[\d\s.,+\-*/%()^])+")
_ARG = rf"(?:{QUOTED}|[^\s,]+)"


def read_request(request: str) -> list[Job]:
    """List the jobs that `request` asks for, in order; a clause that asks for nothing known is left out."""
    text = MaskedText(request)
    jobs: list[Job] = []
    path = ""
    for clause in clauses(text.masked):
        job = _read_clause(clause, text, path)
        if job is None:
            continue
        path = job.path or path
        if jobs and jobs[-1].path == job.path and {jobs[-1].kind, job.kind} <= {"read", "explain"}:
            jobs[-1] = replace(job, kind="explain" if "explain" in {jobs[-1].kind, job.kind} else "read")
        else:
            jobs.append(job)
    return jobs


def _read_clause(clause: str, text: MaskedText, last_path: str) -> Job | None:
    clause = POLITE.sub("", clause).strip().rstrip("?!.:,").strip()
    for reader in _READERS:
        job = reader(clause, text, last_path)
        if job is not None:
            return replace(job, wish=text.open(clause))
    return None


def _begins(clause: str, words: str) -> re.Match[str] | None:
    return re.match(rf"(?:{words})\b\s*", clause, re.IGNORECASE)


def _run(clause: str, text: MaskedText, last_path: str) -> Job | None:
    begin = _begins(clause, r"run|execute|запусти(?:ть)?|выполни(?:ть)?")
    if begin is None:
        return None
    rest = re.sub(r"^(?:the\s+)?(?:shell\s+)?(?:command|команду)\s*:?\s*", "", clause[begin.end() :], flags=re.I)
    if mark := re.search(QUOTED, rest):
        return Job("run", text=text.open(mark.group()))
    if re.fullmatch(r"(?:all\s+)?(?:the\s+)?(?:unit\s+)?tests?|(?:все\s+)?(?:юнит-)?тесты", rest, re.IGNORECASE):
        return Job("run", text="python -m pytest -q")
    path = path_in(rest, text, last_path)
    if path and (rest.strip() == path or IT.fullmatch(rest.strip())):
        runner = {"py": "python", "sh": "bash", "js": "node", "dart": "dart run"}.get(path.rpartition(".")[2])
        return Job("run", path=path, text=f"{runner} {path}" if runner else f"./{path}")
    return Job("run", text=rest) if rest else None


def _calculate(clause: str, text: MaskedText, _: str) -> Job | None:
    begin = _begins(
        clause, r"calculate|compute|evaluate|what(?:'s| is)|how much is|сколько будет|посчитай|вычисли|чему равно"
    )
    rest = text.open(clause[begin.end() :] if begin else clause).strip(" =?")
    if _EXPRESSION.fullmatch(rest) and re.search(r"\d\s*[+\-*/%^]|\(", rest):
        return Job("calculate", text=rest.replace("^", "**"))
    return None


def _switch(clause: str, _text: MaskedText, _path: str) -> Job | None:
    found = re.search(
        r"\b(?:switch|change|hand over|переключись|перейди)\s+(?:to|на|в)\s+(?:the\s+|режим\s+)?"
        r"(coder|architect|debug|ask)\b",
        clause,
        re.IGNORECASE,
    )
    return Job("switch", text=found.group(1).lower()) if found else None


def _echo(clause: str, text: MaskedText, _: str) -> Job | None:
    begin = _begins(clause, "echo|повтори")
    return Job("echo", text=text.open(clause[begin.end() :])) if begin and clause[begin.end() :] else None


def _mkdir(clause: str, text: MaskedText, _: str) -> Job | None:
    found = re.match(
        rf"(?:create|make|add|создай|сделай|добавь)\s+(?:a\s+|an\s+|the\s+|new\s+|новую\s+|новый\s+)*"
        rf"(?:folder|directory|dir|папку|директорию|каталог)\s+(?:called\s+|named\s+|с именем\s+)?({_ARG})",
        clause,
        re.IGNORECASE,
    )
    return Job("mkdir", path=text.open(found.group(1)).rstrip("/")) if found else None


def _replace(clause: str, text: MaskedText, last_path: str) -> Job | None:
    found = re.search(
        rf"\b(?:replace|change|rename|замени|измени|переименуй|поменяй)\s+(?:the\s+)?(?:(?:word|text|line|string|function|class|"
        rf"variable|слово|текст|строку|функцию|класс|переменную)\s+)?(?P<old>{QUOTED}|[^\s,]+)\s+(?:with|by|to|на|в)\s+(?P<new>{_ARG})",
        clause,
        re.IGNORECASE,
    )
    if found is None:
        return None
    path = path_in(clause[: found.start()] + " " + clause[found.end() :], text, last_path) or last_path
    return Job("replace", path=path, text=text.open(found["old"]), other=text.open(found["new"])) if path else None


def _remove(clause: str, text: MaskedText, last_path: str) -> Job | None:
    begin = _begins(clause, "remove|delete|удали|убери")
    if begin is None:
        return None
    path = path_in(clause, text, last_path)
    quoted = quote_in(clause, text, path)
    if quoted is not None and path:
        return Job("remove", path=path, text=quoted)
    return Job("run", path=path, text=f"rm {path}") if path else None


def _insert(clause: str, text: MaskedText, last_path: str) -> Job | None:
    begin = _begins(clause, "append|add|insert|prepend|добавь|допиши|вставь|дополни")
    if begin is None:
        return None
    path = path_in(clause, text, last_path) or last_path
    if not path or re.search(
        r"\b(?:new\s+file|a\s+file|the\s+file\s+\S+\s+with|новый\s+файл)\b", clause, re.IGNORECASE
    ):
        return None
    what = next((name for name, words in _PARTS.items() if re.search(rf"\b(?:{words})", clause, re.IGNORECASE)), "line")
    at_start = bool(re.search(r"\bprepend|\b(?:top|beginning|start)\b|\bначал", clause, re.IGNORECASE))
    content = quote_in(clause, text, path)
    if content is None:
        rest = re.sub(r"\s*\b(?:to|in|into|at|в|во|к)\b\s+.*$", "", clause[begin.end() :], flags=re.IGNORECASE)
        words = re.compile(rf"^(?:(?:a|an|the|new|новую|новый)\s+)*(?:(?:{'|'.join(_PARTS.values())})\w*\s*)?", re.I)
        content = words.sub("", rest).removeprefix("called ").removeprefix("named ").strip()
        content = "" if PATH.fullmatch(content) else text.open(content)
    return Job("insert", path=path, text=content, other=what, at_start=at_start)


_PARTS = {
    "section": "section|heading|chapter|раздел|секци|заголовок|глав",
    "comment": "comment|комментари",
    "function": "function|method|функци|метод",
    "line": "line|text|строк|текст",
}


def _create(clause: str, text: MaskedText, last_path: str) -> Job | None:
    begin = _begins(
        clause,
        r"create|make|write|generate|implement|add|save|put|build|develop"
        r"|создай|сделай|напиши|запиши|сгенерируй|реализуй|сохрани|разработай",
    )
    path = path_in(clause, text, last_path) if begin else ""
    if begin is None or path.endswith("/"):
        return None
    if not path:
        topic = text.open(clause[begin.end() :])
        if (
            len(topic.split()) < 2
            or IT.match(topic)
            or re.search(r"\b(?:better|nicer|faster)\b|лучше|что-нибудь", topic)
        ):
            return None
        return Job("create", path=path_for(topic))
    content = quote_in(clause, text, path)
    if content is None:
        bare = re.search(
            r"\b(?:with(?:\s+the)?|containing|с|со)\s+(?:the\s+)?"
            r"(?:contents?|text|line|текстом|содержимым|содержанием|строкой)\s*:?\s+(?P<text>.+)$",
            clause,
            re.IGNORECASE,
        )
        content = text.open(bare["text"]) if bare else ""
    return Job("create", path=path, text=content)


def _search(clause: str, text: MaskedText, _: str) -> Job | None:
    found = re.match(
        r"(?:search(?:\s+the\s+(?:code|project|workspace))?(?:\s+for)?|grep(?:\s+for)?|look\s+for|find|where\s+(?:is|are|do\s+we\s+use)"
        r"|найди(?:те)?|поищи|ищи|поиск|где\s+(?:используется|определена?|определён|находится|вызывается))\s+"
        r"(?:all\s+|every\s+|the\s+|все\s+)*(?:(?:uses|usages|occurrences|mentions|references)\s+(?:of|to)\s+"
        r"|(?:использования|упоминания|вхождения)\s+|(?:word|text|string|слово|текст|строку|функцию|класс|function|class)\s+)?"
        rf"(?P<what>{QUOTED}|[^\s,?]+)(?P<rest>.*)$",
        clause,
        re.IGNORECASE,
    )
    if found is None or re.match(
        r"(?:bug|error|problem|file|files|ошибк|баг|проблем|файл)", found["what"], re.IGNORECASE
    ):
        return None
    place = re.search(
        rf"\b(?:in|under|inside|в|во)\s+(?:the\s+)?(?:folder\s+|папке\s+)?({_ARG})\s*$", found["rest"], re.I
    )
    folder = text.open(place.group(1)) if place else ""
    everywhere = re.fullmatch(r"(?:code|project|workspace|files|all|коде|проекте|файлах)", folder, re.IGNORECASE)
    return Job("search", path="" if everywhere else folder, text=text.open(found["what"]))


_LOOK = (
    r"read|show(?:\s+me)?|open|print|display|cat|view|look\s+(?:at|into)|"
    r"прочитай|прочти|покажи|открой|выведи|посмотри|загляни"
)
_EXPLAIN = (
    r"explain|describe|summari[sz]e|analy[sz]e|review|tell\s+me\s+about|what\s+(?:does|is|are)|what's|how\s+does|"
    r"объясни|опиши|проанализируй|расскажи|разбери|что\s+(?:делает|такое|в|внутри|за)|как\s+работает|о\s+чём|о\s+чем"
)
_FOLDER_WORDS = r"files?|folders?|director(?:y|ies)|файл\w*|папк\w*|каталог\w*|директори\w*"
_PROJECT_WORDS = r"project|workspace|code\s?base|repo(?:sitory)?|проект\w*|репозитори\w*|код\w*\s+баз\w*"


def _look(clause: str, text: MaskedText, last_path: str) -> Job | None:
    explains = re.search(rf"\b(?:{_EXPLAIN})\b", clause, re.IGNORECASE)
    looks = _begins(clause, _LOOK)
    if not (explains or looks):
        return None
    path = path_in(clause, text, last_path)
    if not path or path.endswith("/"):
        return None
    span = re.search(r"\b(?:lines?|строк\w*)\s+(\d+)\s*(?:-|–|to|по|до)\s*(\d+)", clause, re.IGNORECASE)
    lines = (int(span.group(1)), int(span.group(2))) if span else None
    return Job("explain" if explains else "read", path=path, lines=lines)


def _tour(clause: str, _text: MaskedText, _path: str) -> Job | None:
    found = re.search(rf"\b(?:{_EXPLAIN}|{_LOOK})\b.*\b(?:{_PROJECT_WORDS})\b", clause, re.IGNORECASE)
    return (
        Job("tour", path=".") if found and not re.search(rf"\b(?:{_FOLDER_WORDS})\b", clause, re.IGNORECASE) else None
    )


def _list(clause: str, text: MaskedText, _: str) -> Job | None:
    begin = _begins(
        clause,
        rf"list|ls|{_LOOK}|what|which|find|перечисли|список|какие|что\s+(?:лежит|находится|есть)|найди",
    )
    if begin is None:
        return None
    path = path_in(clause, text)
    bare = re.search(
        rf"\b(?:in|of|under|inside|в|во|из)\s+(?:the\s+)?(?:folder\s+|папке\s+|каталоге\s+)?({_ARG})", clause, re.I
    )
    if not re.search(rf"\b(?:{_FOLDER_WORDS}|{_PROJECT_WORDS})\b", clause, re.IGNORECASE) and not (
        path.endswith("/") or clause.strip().lower() in {"ls", "list"}
    ):
        return None
    if (
        not path
        and bare
        and not re.match(rf"(?:{_PROJECT_WORDS}|{_FOLDER_WORDS}|this|here|этом|текущ\w*)", bare.group(1), re.I)
    ):
        path = text.open(bare.group(1))
    deep = re.search(r"\b(?:all|recursive(?:ly)?|tree|every|все|рекурсивно|дерево)\b", clause, re.IGNORECASE)
    return Job("list", path=path.rstrip("/") or ".", other="recursive" if deep else "")


def _debug(clause: str, text: MaskedText, last_path: str) -> Job | None:
    if not re.search(
        r"\b(?:debug|fix|bug|crash\w*|fail\w*|broken|error|why)\b"
        r"|отлад|ошибк|\bбаг|пада[ею]т|не работает|сломал|исправь|почему|почини",
        clause,
        re.IGNORECASE,
    ):
        return None
    path = path_in(clause, text, last_path)
    if path and not path.endswith("/"):
        return Job("debug", path=path)
    return Job("debug", text="tests") if re.search(r"\btests?\b|тест", clause, re.IGNORECASE) else None


def _improve(clause: str, text: MaskedText, last_path: str) -> Job | None:
    found = re.search(
        r"\b(?:improve|refactor|optimi[sz]e|clean\s+up|make\s+(?:it|this|that|them)?\s*(?:better|nicer|faster)|fix|do\s+it|do\s+something|"
        r"change\s+it|update|polish|rewrite)\b|улучши|исправь|почини|сделай\s+(?:лучше|это|что-нибудь|красив)|оптимизируй|отрефактори|доработай",
        clause,
        re.IGNORECASE,
    )
    return Job("improve", path=path_in(clause, text, last_path)) if found else None


_Reader = Callable[[str, MaskedText, str], Job | None]
_READERS: tuple[_Reader, ...] = (
    _run, _switch, _calculate, _echo, _mkdir, _replace, _insert, _remove, _create, _look, _tour, _list, _search, _debug,
    _improve,
)  # fmt: skip
