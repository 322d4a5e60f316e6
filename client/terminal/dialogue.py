"""`--approve ask`: a person at the terminal decides."""

from __future__ import annotations

import json
import os
import sys
from pathlib import PurePath
from typing import Any

import click
from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from client.decider import hitl_decision, plan_decision
from client.terminal.call_view import call_panel, is_cut
from client.terminal.text import entries, shown
from client.time_limit import TimeLimit
from client.workspace.folder import Workspace
from tools.catalog import BY_NAME
from wire.protocol import Chunk, HitlDecision, PlanDecision

_END_OF_TEXT = "."


class AskPerson:
    """Shows what a call would do and asks; the task's clock stands still meanwhile."""

    def __init__(self, console: Console, workspace: Workspace, time_limit: TimeLimit) -> None:
        self._console = console
        self._workspace = workspace
        self._time_limit = time_limit

    def decide_call(self, call: Chunk) -> HitlDecision:
        """See Decider; the call's panel is on the screen already."""
        with self._time_limit.paused():
            return self._decide_call(call)

    def confirm(self, call: Chunk, question: str) -> bool:  # noqa: ARG002 its panel is on the screen
        """See Decider."""
        with self._time_limit.paused():
            self._console.print(shown(question, "bold yellow"))
            return self._choose({"a": "run it", "r": "refuse"}) == "a"

    def decide_plan(self, plan: Chunk) -> PlanDecision:
        """See Decider."""
        with self._time_limit.paused():
            choice = self._choose({"a": "approve", "m": "modify", "r": "reject"})
            if choice == "m":
                return plan_decision(plan, "modify", self._ask_until_given("What should change?"))
            return plan_decision(plan, "approve" if choice == "a" else "reject")

    def answer(self, suggestions: list[str]) -> str | None:
        """See Decider; a number picks a suggestion, anything else is the answer itself."""
        with self._time_limit.paused():
            text = self._ask_until_given("Your answer" + (" (a number or your own words)" if suggestions else ""))
            if text.isdecimal() and 1 <= int(text) <= len(suggestions):
                return suggestions[int(text) - 1]
            return text

    def _decide_call(self, call: Chunk) -> HitlDecision:
        arguments = dict(call.arguments or {})
        options = entries((call.metadata or {}).get("remember_options"))
        choices = {"a": "approve", "e": "edit", "r": "reject"}
        if is_cut(call, arguments, self._workspace):
            choices["s"] = "show all"
        for number, option in enumerate(options, start=1):
            choices[str(number)] = f"approve and remember: {option.get('label', '')}"
        while True:
            choice = self._choose(choices)
            if choice == "s":
                self._console.print(call_panel(call, arguments, self._workspace, whole=True))
            elif choice == "r":
                reason = self._ask("Why? (may be empty)").strip()
                return hitl_decision(call, "reject", feedback=reason or None)
            elif choice == "e":
                edited = self._edit(str(call.tool_name), arguments)
                if edited is not None and edited != arguments:
                    return hitl_decision(call, "edit", modified_arguments=edited)
                self._console.print(Text("Nothing was changed.", style="dim"))
            elif choice == "a":
                return hitl_decision(call, "approve")
            else:
                option_id = str(options[int(choice) - 1].get("id"))
                return hitl_decision(call, "approve", remember="session", remember_option=option_id)

    def _choose(self, choices: dict[str, str]) -> str:
        """Ask for one of the keys; an empty line is no answer, so that a stray Enter approves nothing."""
        line = Text()
        for key, meaning in choices.items():
            line.append(f" {key} ", "reverse bold").append_text(Text(" ") + shown(meaning) + Text("   "))
        self._console.print(line)
        return Prompt.ask("Decision", console=self._console, choices=list(choices), case_sensitive=False).lower()

    def _ask(self, question: str) -> str:
        return Prompt.ask(question, console=self._console, default="", show_default=False)

    def _ask_until_given(self, question: str) -> str:
        while not (text := self._ask(question).strip()):
            self._console.print(Text("Please write something.", style="dim"))
        return text

    def _edit(self, tool_name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """Let the person change the arguments; None when they gave up or wrote no valid JSON."""
        tool = BY_NAME.get(tool_name)
        field = (tool.command or tool.text) if tool is not None else None
        if tool is not None and field is not None:
            suffix = ".sh" if tool.command else PurePath(str(arguments.get("path", ""))).suffix
            text = self._edit_text(str(arguments.get(field, "")), suffix, one_line=tool.command is not None)
            return None if text is None else arguments | {field: text}
        text = self._edit_text(json.dumps(arguments, ensure_ascii=False, indent=2), ".json", one_line=False)
        if text is None:
            return None
        try:
            edited = json.loads(text)
        except ValueError as error:
            self._console.print(shown(f"This is not JSON: {error}.", "red"))
            return None
        return edited if isinstance(edited, dict) else None

    def _edit_text(self, text: str, suffix: str, *, one_line: bool) -> str | None:
        if (os.environ.get("VISUAL") or os.environ.get("EDITOR")) and sys.stdin.isatty():
            try:
                edited = click.edit(text, extension=suffix or ".txt")
            except click.ClickException as error:
                self._console.print(shown(error.message, "red"))
                return None
            return edited.removesuffix("\n") if edited and one_line else edited
        if one_line:
            return self._ask("New command").strip() or None
        self._console.print(Text(f"Write the new text; a line with only `{_END_OF_TEXT}` ends it.", style="dim"))
        lines = []
        while (line := self._console.input()) != _END_OF_TEXT:
            lines.append(line + "\n")
        return "".join(lines) or None
