"""What the scripted model says, in English and in Russian."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm.script.files import FileFacts

_QUESTION = re.compile(
    r"\?\s*$|^\s*(?:what|how|why|where|which|who|when|explain|describe|is|are|does|do"
    r"|что|как|где|почему|зачем|кто|какой|какие|объясни)\b",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|good (?:morning|day|evening)|привет|здравствуй(?:те)?|добрый день)\b", re.IGNORECASE
)
_THANKS = re.compile(r"\b(?:thanks|thank you|спасибо)\b", re.IGNORECASE)


def _plural(number: int, one: str, few: str, many: str) -> str:
    """Choose the Russian form after a number."""
    if number % 10 == 1 and number % 100 != 11:
        return f"{number} {one}"
    if 2 <= number % 10 <= 4 and not 12 <= number % 100 <= 14:
        return f"{number} {few}"
    return f"{number} {many}"


@dataclass(frozen=True)
class Phrases:
    """One language."""

    is_russian: bool

    @classmethod
    def of(cls, request: str) -> Phrases:
        """Answer in the language of the user, by the letters outside of quotes."""
        plain = re.sub(r"```.*?```|`[^`]*`|\"[^\"]*\"|«[^»]*»", "", request, flags=re.DOTALL)
        return cls(bool(re.search(r"[а-яё]", plain or request, re.IGNORECASE)))

    @staticmethod
    def is_question(request: str) -> bool:
        """Whether the request asks for knowledge rather than for work."""
        return bool(_QUESTION.search(request) or _GREETING.search(request) or _THANKS.search(request))

    def pick(self, english: str, russian: str) -> str:
        """Take the sentence of this language."""
        return russian if self.is_russian else english

    # what was done

    def lines(self, number: int) -> str:
        """Count lines."""
        english = f"{number} line" if number == 1 else f"{number} lines"
        return self.pick(english, _plural(number, "строка", "строки", "строк"))

    def file_facts(self, path: str, facts: FileFacts) -> str:
        """Sum a file up from what is really in it."""
        if not facts.lines:
            return self.pick(f"{path} is empty.", f"Файл {path} пуст.")
        parts = [self.pick(f"{path} has {self.lines(facts.lines)}.", f"{path}: {self.lines(facts.lines)}.")]
        if facts.headings:
            parts.append(
                self.pick(f'Its first heading is "{facts.headings[0]}".', f"Первый заголовок: «{facts.headings[0]}».")
            )
            if len(facts.headings) > 1:
                others = ", ".join(facts.headings[1:8])
                parts.append(self.pick(f"Other sections: {others}.", f"Другие разделы: {others}."))
        elif facts.heading and not facts.definitions:
            parts.append(self.pick(f"It begins with: {facts.heading[:120]}", f"Начинается так: {facts.heading[:120]}"))
        if facts.definitions:
            named = ", ".join(facts.definitions[:12])
            parts.append(self.pick(f"It defines: {named}.", f"В нём определены: {named}."))
        if facts.marks:
            parts.append(
                self.pick(f"Open marks: {'; '.join(facts.marks[:5])}.", f"Пометки: {'; '.join(facts.marks[:5])}.")
            )
        if facts.fault:
            parts.append(
                self.pick(f"It has a syntax error, {facts.fault}.", f"В нём синтаксическая ошибка, {facts.fault}.")
            )
        return " ".join(parts)

    def diagnosis(self, path: str, facts: FileFacts) -> str:
        """Say what can be found wrong without running the file."""
        if facts.fault:
            return self.pick(
                f"Found it: {path} has a syntax error, {facts.fault}. Tell the coder what the line should be.",
                f"Нашёл: в {path} синтаксическая ошибка, {facts.fault}. Скажите, какой должна быть строка.",
            )
        known = self.file_facts(path, facts)
        return self.pick(
            f"I read {path} and see no syntax error. {known} Tell me how it fails: the command and its output.",
            f"Прочитал {path}, синтаксических ошибок не видно. {known} Опишите сбой: команду и её вывод.",
        )

    def files(self, path: str, names: Sequence[str]) -> str:
        """List what a folder holds."""
        place = self.pick("The workspace" if path == "." else path, "Проект" if path == "." else path)
        if not names:
            return self.pick(f"{place} is empty.", f"{place}: файлов нет.")
        shown = "\n".join(f"- {name}" for name in names[:40])
        more = len(names) - 40
        rest = self.pick(f"\n… and {more} more", f"\n… и ещё {more}") if more > 0 else ""
        entries = self.pick(
            f"{len(names)} entries" if len(names) > 1 else "1 entry", _plural(len(names), "запись", "записи", "записей")
        )
        return f"{place}: {entries}.\n{shown}{rest}"

    def created(self, path: str, facts: FileFacts) -> str:
        """Say that a file was written."""
        return self.pick(f"Created {path} ({self.lines(facts.lines)}).", f"Создал {path} ({self.lines(facts.lines)}).")

    def edited(self) -> str:
        """Add that the user had a hand in it."""
        return self.pick(" You changed the arguments before it ran.", " Перед выполнением вы изменили аргументы.")

    def replaced(self, path: str, old: str, new: str, times: int) -> str:
        """Say what was replaced."""
        english = "once" if times == 1 else f"{times} times"
        russian = _plural(times, "раз", "раза", "раз")
        return self.pick(
            f"Replaced `{old}` with `{new}` in {path} ({english}).", f"Заменил `{old}` на `{new}` в {path} ({russian})."
        )

    def removed(self, path: str, text: str) -> str:
        """Say what was removed."""
        return self.pick(f"Removed `{text}` from {path}.", f"Удалил `{text}` из {path}.")

    def inserted(self, path: str, what: str, text: str) -> str:
        """Say what was added."""
        russian = {"section": "раздел", "comment": "комментарий", "function": "функцию", "line": "строку"}[what]
        named = f" `{text.strip().splitlines()[0][:60]}`" if text.strip() else ""
        return self.pick(f"Added the {what}{named} to {path}.", f"Добавил {russian}{named} в {path}.")

    def made(self, path: str) -> str:
        """Say that a folder exists now."""
        return self.pick(f"Created the folder {path}.", f"Создал папку {path}.")

    def ran(self, command: str, code: int | None, output: str) -> str:
        """Say how a command ended."""
        ended = "" if code is None else self.pick(f", exit code {code}", f", код выхода {code}")
        head = self.pick(f"Ran `{command}`{ended}.", f"Выполнил `{command}`{ended}.")
        return f"{head}\n\n```\n{output.strip()}\n```" if output.strip() else head

    def matches(self, query: str, found: Sequence[str]) -> str:
        """List search results."""
        if not found:
            return self.pick(f"Found nothing for `{query}`.", f"По запросу `{query}` ничего не найдено.")
        shown = "\n".join(f"- {line}" for line in found[:20])
        count = self.pick(
            f"{len(found)} matches" if len(found) > 1 else "1 match",
            _plural(len(found), "совпадение", "совпадения", "совпадений"),
        )
        return f"`{query}`: {count}.\n{shown}"

    def switched(self, mode: str) -> str:
        """Say who speaks now."""
        return self.pick(f"The {mode} agent is here. What shall I do?", f"Агент {mode} на связи. Что сделать?")

    # what was not done

    def failed(self, kind: str, doing: str, reason: str) -> str:
        """Say honestly that something did not happen, and why."""
        if kind == "rejected":
            said = reason.partition(":")[2].strip()
            why = self.pick(f" You said: {said}", f" Вы сказали: {said}") if said else ""
            return self.pick(
                f"You rejected {doing}, so it was not done.{why}", f"Вы отклонили {doing}, это не сделано.{why}"
            )
        if kind == "not_run":
            return self.pick(f"Not done: {doing}. {reason}", f"Не сделано: {doing}. {reason}")
        if kind == "denied":
            return self.pick(f"Not allowed: {doing}. {reason}", f"Не разрешено: {doing}. {reason}")
        return self.pick(f"It did not work: {doing}. {reason}", f"Не получилось: {doing}. {reason}")

    def not_done(self, wishes: Sequence[str]) -> str:
        """Name what was left out after a failure."""
        return self.pick(f"Not started: {'; '.join(wishes)}.", f"Не начато: {'; '.join(wishes)}.")

    def reading(self, path: str) -> str:
        """Name the work."""
        return self.pick(f"reading {path}", f"чтение {path}")

    def listing(self, path: str) -> str:
        """Name the work."""
        return self.pick(f"listing {path}", f"список файлов {path}")

    def writing(self, path: str) -> str:
        """Name the work."""
        return self.pick(f"writing {path}", f"запись {path}")

    def making(self, path: str) -> str:
        """Name the work."""
        return self.pick(f"creating the folder {path}", f"создание папки {path}")

    def running(self, command: str) -> str:
        """Name the work."""
        return self.pick(f"running `{command}`", f"запуск `{command}`")

    def searching(self, query: str) -> str:
        """Name the work."""
        return self.pick(f"searching for `{query}`", f"поиск `{query}`")

    def nothing_to_change(self, path: str, text: str) -> str:
        """Say that the text to change is not there."""
        return self.pick(
            f"{path} does not contain `{text}`; I changed nothing.", f"В {path} нет `{text}`; я ничего не изменил."
        )

    def too_long(self, path: str) -> str:
        """Refuse to write back what may have been cut."""
        return self.pick(
            f"{path} is too long for me to change safely; I changed nothing.",
            f"Файл {path} слишком длинный, чтобы менять его без риска; я ничего не изменил.",
        )

    def no_tool(self, tool: str) -> str:
        """Say that the agent lacks a tool."""
        return self.pick(f"I cannot do that here: I have no {tool}.", f"Здесь я этого не могу: у меня нет {tool}.")

    def no_switch(self, mode: str, reason: str) -> str:
        """Say that the hand-over did not come about."""
        return self.pick(
            f"I could not hand over to the {mode} agent: {reason}",
            f"Не удалось передать работу агенту {mode}: {reason}",
        )

    def hand_over(self, tool: str) -> str:
        """Give the reason for a switch."""
        return self.pick(f"The task needs {tool}", f"Для задачи нужен {tool}")

    def asked_to_switch(self) -> str:
        """Give the reason for a switch that the user wished."""
        return self.pick("The user asked for it", "По просьбе пользователя")

    def plan_ended(self, status: str, reason: str) -> str:
        """Say what became of a plan when nothing more is to be done."""
        if status == "approved":
            return self.pick("The plan is approved.", "План одобрен.")
        if status == "rejected":
            return self.pick("You rejected the plan; nothing was done.", "Вы отклонили план; ничего не сделано.")
        return self.pick(f"There is no plan to carry out. {reason}", f"Выполнять нечего. {reason}")

    # questions and talk

    def what_to_improve(self, path: str) -> str:
        """Ask back on a vague wish."""
        if path:
            return self.pick(f"I read {path}. What exactly shall I change?", f"Я прочитал {path}. Что именно изменить?")
        return self.pick(
            "Which file do you mean, and what shall change in it?", "Какой файл вы имеете в виду и что в нём изменить?"
        )

    def ideas(self, path: str, facts: FileFacts) -> list[str]:
        """Suggest changes that this model can carry out."""
        first = facts.definitions[0].rpartition(" ")[2] if facts.definitions else path
        return [
            self.pick(
                f'Add a comment "Describe {first}" at the top of {path}',
                f"Добавь комментарий «Описать {first}» в начало {path}",
            ),
            self.pick(f"Explain {path}", f"Объясни {path}"),
        ]

    def general_ideas(self) -> list[str]:
        """Suggest first steps when nothing is known."""
        return [self.pick("List all files", "Покажи все файлы"), self.pick("Explain README.md", "Объясни README.md")]

    def what_to_insert(self, path: str) -> str:
        """Ask for the missing text."""
        return self.pick(f"What text shall I add to {path}?", f"Какой текст добавить в {path}?")

    def what_to_insert_ideas(self, path: str) -> list[str]:
        """Suggest texts."""
        return [
            self.pick(f'Add a comment "TODO" to {path}', f"Добавь комментарий «TODO» в {path}"),
            self.pick(f"Explain {path}", f"Объясни {path}"),
        ]

    def answer(self, request: str) -> str:
        """Answer what is no job: greetings, thanks, and questions that need knowledge."""
        if _THANKS.search(request):
            return self.pick("You are welcome.", "Пожалуйста.")
        can = self.pick(
            "I can list, read and explain files, create and change them, run commands, search the code and compute, "
            "one step or several joined by `then`. "
            "Try: `list files`, `explain README.md`, `create hello.py, then run it`.",
            "Я могу показать, прочитать и объяснить файлы, создать и изменить их, выполнить команду, найти текст и "
            "посчитать, по одному шагу или цепочкой через «потом». "
            "Попробуйте: «покажи файлы», «объясни README.md», «создай hello.py, потом запусти его».",
        )
        if _GREETING.search(request) or not request.strip():
            return self.pick(
                f"Hello! I am the built-in scripted model. {can}", f"Привет! Я встроенная модель-сценарий. {can}"
            )
        about = " ".join(request.split())[:80]
        return self.pick(
            f'I am the built-in scripted model and cannot answer "{about}" from knowledge: '
            f"configure a real model for that. {can}",
            f"Я встроенная модель-сценарий и не могу ответить на «{about}» из знаний: "
            f"для этого подключите настоящую модель. {can}",
        )
