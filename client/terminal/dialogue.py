"""`--approve ask`: a person at the terminal decides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from client.decider import hitl_decision, is_dangerous, plan_decision
from client.question import Question
from client.terminal.call_view import call_panel, is_cut
from client.terminal.input.keyboard import Keyboard
from client.terminal.text import entries, shown
from client.time_limit import TimeLimit
from client.workspace.folder import Workspace
from tools.catalog import BY_NAME
from wire.protocol import Chunk, HitlDecision, PlanDecision


class AskPerson:
    """Shows what a call would do and asks; the task's clock stands still meanwhile."""

    def __init__(self, console: Console, keyboard: Keyboard, workspace: Workspace, time_limit: TimeLimit) -> None:
        self._console = console
        self._keyboard = keyboard
        self._workspace = workspace
        self._time_limit = time_limit

    def decide_call(self, call: Chunk, question: Question) -> HitlDecision:
        """Ask for a decision on the call, whose panel is already on the screen."""
        with self._asking(question):
            return self._decide_call(call)

    def confirm(self, call: Chunk, sentence: str, question: Question) -> bool:
        """Ask whether the call may run; its panel is already on the screen."""
        with self._asking(question):
            self._console.print(shown(sentence, "bold yellow"))
            run = "approve" if is_dangerous(call) else "a"
            return self._choose({run: "run it", "r": "refuse"}) == run

    def decide_plan(self, plan: Chunk, question: Question) -> PlanDecision:
        """Ask for a decision on the plan."""
        with self._asking(question):
            choice = self._choose({"a": "approve", "m": "modify", "r": "reject"})
            if choice == "m":
                return plan_decision(plan, "modify", self._ask_until_given("What should change?"))
            return plan_decision(plan, "approve" if choice == "a" else "reject")

    def answer(self, suggestions: list[str], question: Question) -> str | None:
        """Ask for an answer: a number selects a suggestion, any other text is the answer itself."""
        with self._asking(question):
            text = self._ask_until_given("Your answer" + (" (a number or your own words)" if suggestions else ""))
            if text.isdecimal() and 1 <= int(text) <= len(suggestions):
                return suggestions[int(text) - 1]
            return text

    @contextmanager
    def _asking(self, question: Question) -> Iterator[None]:
        """Leave the prompt when another client settles the question; QuestionClosed replaces its Left."""
        with self._time_limit.paused(), self._keyboard.leavable() as leave, question.open(leave):
            yield

    def _decide_call(self, call: Chunk) -> HitlDecision:
        arguments = dict(call.arguments or {})
        options = entries((call.metadata or {}).get("remember_options"))
        # One key is typed by accident: danger `high` wants the word.
        wants_word = is_dangerous(call)
        approve = "approve" if wants_word else "a"
        choices = {approve: "approve", "e": "edit", "r": "reject"}
        if is_cut(call, arguments, self._workspace):
            choices["s"] = "show all"
        remembering = {f"approve {n}" if wants_word else str(n): option for n, option in enumerate(options, start=1)}
        choices |= {key: f"approve and remember: {option.get('label', '')}" for key, option in remembering.items()}
        while True:
            choice = self._choose(choices)
            if choice == "s":
                self._console.print(call_panel(call, arguments, self._workspace, whole=True))
            elif choice == "r":
                reason = self._keyboard.text("Why? (may be empty)").strip()
                return hitl_decision(call, "reject", feedback=reason or None)
            elif choice == "e":
                edited = self._edit(str(call.tool_name), arguments)
                if edited is None or edited == arguments:
                    self._console.print(Text("Nothing was changed.", style="dim"))
                elif not wants_word or self._choose({"approve": "run it as edited", "b": "back"}) == "approve":
                    return hitl_decision(call, "edit", modified_arguments=edited)
            elif choice == approve:
                return hitl_decision(call, "approve")
            else:
                option_id = str(remembering[choice].get("id"))
                return hitl_decision(call, "approve", remember="session", remember_option=option_id)

    def _choose(self, choices: dict[str, str]) -> str:
        """Ask for one of the keys; an empty line is no answer, so that an accidental Enter approves nothing."""
        line = Text()
        for key, meaning in choices.items():
            line.append(f" {key} ", "reverse bold").append_text(Text(" ") + shown(meaning) + Text("   "))
        self._console.print(line)
        while True:
            choice = " ".join(self._keyboard.answer("Decision").lower().split())
            if choice in choices:
                return choice
            self._console.print(Text(f"Please type one of: {', '.join(choices)}.", style="dim"))

    def _ask_until_given(self, question: str) -> str:
        while not (text := self._keyboard.text(question).strip()):
            self._console.print(Text("Please write something.", style="dim"))
        return text

    def _edit(self, tool_name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Let the person change the arguments; None when they cancelled or wrote no valid JSON."""
        tool = BY_NAME.get(tool_name)
        field = (tool.command or tool.text) if tool is not None else None
        if tool is not None and field is not None:
            suffix = ".sh" if tool.command else PurePath(str(arguments.get("path", ""))).suffix
            text = self._edit_text(str(arguments.get(field, "")), suffix)
            if text is not None and tool.command:
                text = text.removesuffix("\n")
            return None if text is None else arguments | {field: text}
        text = self._edit_text(json.dumps(arguments, ensure_ascii=False, indent=2), ".json")
        if text is None:
            return None
        try:
            edited = json.loads(text)
        except ValueError as error:
            self._console.print(shown(f"This is not JSON: {error}.", "red"))
            return None
        return edited if isinstance(edited, dict) else None

    def _edit_text(self, text: str, suffix: str) -> str | None:
        """Edit in the person's own editor when one is set, else here; None when the text was emptied or left."""
        if os.environ.get("VISUAL") or os.environ.get("EDITOR"):
            try:
                return click.edit(text, extension=suffix or ".txt")
            except click.ClickException as error:
                self._console.print(shown(error.message, "red"))
                return None
        if "\n" in text:
            self._console.print(Text("Alt-Enter ends the editing.", style="dim"))
        return self._keyboard.text("Edit", text) or None
