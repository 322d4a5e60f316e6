"""The sentences of the scripted model: one table in English and in Russian."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_GREETING = re.compile(r"\s*(?:hi|hello|hey|thanks|thank you|help|привет|здравствуй\w*|спасибо|помощь|)[\s.!?]*", re.I)
_LINES_SHOWN, _CHARS_SHOWN, _ENTRIES_SHOWN = 12, 1_500, 40
_OUTLINE = re.compile(
    r"^(?:#{1,6}[ \t]+(?P<heading>.+?)|[ \t]*(?:(?:export|pub|public|async|abstract)[ \t]+)*"
    r"(?P<definition>(?:def|class|function|func|fn|struct|enum|interface)[ \t]+\w+).*)[ \t]*$",
    re.MULTILINE,
)
_SENTENCES: dict[str, tuple[str, str]] = {
    "introduction": ("I am the built-in demo model.", "Я встроенная демонстрационная модель."),
    "not_understood": (
        'I did not understand "{0}", so I did nothing. A real model is one setting away.',
        "Я не понял «{0}» и ничего не сделал. Настоящая модель подключается одной настройкой.",
    ),
    "abilities": (
        "I can list and read files, search, create a file or folder, replace or append text, run a command, calculate "
        "and make a plan, one step or several joined by `then`. Try: `list files`, `explain README.md`, "
        '`find "TODO"`, `create notes.txt with "hello"`, `replace "a" with "b" in notes.txt`, ``run `ls` ``, '
        "`calculate 2 * 21`, `plan a web shop`.",
        "Я могу показать и прочитать файлы, найти текст, создать файл или папку, заменить или дописать текст, "
        "выполнить команду, посчитать и составить план, по одному шагу или цепочкой через «потом». Попробуйте: "
        "`покажи файлы`, `объясни README.md`, `найди «TODO»`, `создай notes.txt с текстом «привет»`, "
        "`замени «а» на «б» в notes.txt`, ``запусти `ls` ``, `посчитай 2 * 21`, `спланируй интернет-магазин`.",
    ),
    "file": ("{0}, lines: {1}.", "{0}, строк: {1}."),
    "contents": ("Contents: {0}.", "Содержание: {0}."),
    "workspace": ("the workspace", "проекте"),
    "files": ("Files in {0}: {1}", "Файлы в {0}: {1}"),
    "matches": ("Matches of `{0}`: {1}", "Совпадения с `{0}`: {1}"),
    "created": ("Created {0}, lines: {1}.", "Создал {0}, строк: {1}."),
    "created_folder": ("Created the folder {0}.", "Создал папку {0}."),
    "appended": ("Appended `{1}` to {0}.", "Дописал `{1}` в {0}."),
    "replaced": ("Replaced `{1}` with `{2}` in {0}, times: {3}.", "Заменил `{1}` на `{2}` в {0}, раз: {3}."),
    "edited": (" You changed the arguments before it ran.", " Перед выполнением вы изменили аргументы."),
    "ran": ("Ran `{0}`.", "Выполнил `{0}`."),
    "ran_to": ("Ran `{0}`, exit code {1}.", "Выполнил `{0}`, код выхода {1}."),
    "absent": ("{0} does not contain `{1}`; I changed nothing.", "В {0} нет `{1}`; я ничего не изменил."),
    "incomplete": (
        "I did not get all of {0}, so I did not change it.",
        "Я получил {0} не целиком и поэтому не стал его менять.",
    ),
    "not_done": ("Not done: {0}. {1}", "Не сделано: {0}. {1}"),
    "not_started": ("Not started: {0}.", "Не начато: {0}."),
    "no_tool": ("I have no {0} here.", "У меня здесь нет {0}."),
    "needs": ("The task needs {0}", "Для задачи нужен {0}"),
    "plan_approved": ("The plan is approved.", "План одобрен."),
    "plan_rejected": ("You rejected the plan; nothing was done.", "Вы отклонили план; ничего не сделано."),
    "plan_ended": ("There is no plan to carry out. {0}", "Выполнять нечего. {0}"),
    "plan_write": ("Write the plan down", "Записать план"),
    "plan_create": ("Create {0} with", "Создай {0} с текстом"),
    "plan_read": ("Read it back", "Прочитать его"),
    "plan_explain": ("Explain {0}", "Объясни {0}"),
}


@dataclass(frozen=True)
class Phrases:
    """The sentences of one language."""

    is_russian: bool

    @classmethod
    def of(cls, request: str) -> Phrases:
        """Choose the language of the request, by its letters outside of quotes."""
        plain = re.sub(r"```.*?```|`[^`]*`|\"[^\"]*\"|«[^»]*»", "", request, flags=re.DOTALL)
        return cls(re.search(r"[а-яё]", plain, re.IGNORECASE) is not None)

    def __call__(self, name: str, *values: object) -> str:
        """Return a sentence of the table."""
        return _SENTENCES[name][self.is_russian].format(*values).rstrip()

    def abilities(self, clause: str) -> str:
        """Return what this model can do and, unless it is a greeting, which clause it did not understand."""
        said = [] if _GREETING.fullmatch(clause) else [self("not_understood", " ".join(clause.split())[:80])]
        return " ".join([*said, self("introduction"), self("abilities")])

    def file(self, path: str, content: str) -> str:
        """Summarise a file: its length, its headings or definitions, and its first lines."""
        said = self("file", path, len(content.splitlines()))
        if found := [match["heading"] or match["definition"] for match in _OUTLINE.finditer(content)]:
            said += " " + self("contents", ", ".join(found[:_LINES_SHOWN]))
        return said + block("\n".join(content.splitlines()[:_LINES_SHOWN]))

    def entries(self, name: str, subject: str, found: Sequence[str]) -> str:
        """List files or matches."""
        shown = [*found[:_ENTRIES_SHOWN], *(["…"] if len(found) > _ENTRIES_SHOWN else [])]
        return "\n- ".join([self(name, subject, len(found)), *shown])


def block(text: str) -> str:
    """Return the beginning of a text as a fenced block."""
    return f"\n\n```\n{text.strip()[:_CHARS_SHOWN]}\n```" if text.strip() else ""
