"""When the runtime reprompts, and when a text is simply the answer."""

from __future__ import annotations

import pytest

from agents.replies.ask_model import announces_action, is_question, missing_call
from agents.replies.reprompt import Missing
from agents.roster import ROSTER

ANNOUNCEMENTS = [
    "I will now create the file lib/greet.dart.",
    "Let me read the file first.",
    "I'll start by looking at the project structure.",
    "Sure! I'm going to run the tests now.",
    "The bug is in cart.dart. Let me fix it:",
    "Now creating the file...",
    "First, I need to check the configuration.",
    "Сейчас создам файл lib/a.dart.",
    "Понял задачу. Я прочитаю main.dart и посмотрю, что там.",
    "Давайте посмотрим на структуру проекта.",
    "I’ll update lib/main.dart now.",
]
ANSWERS = [
    "First answer.",
    "I read it.",
    "after 1",
    "I may not do that.",
    "explained",
    "wrote it",
    "coder here",
    "Created lib/greet.dart with greet(name).",
    "If you want, I will add tests.",
    "I can also create a test. Let me know if I should.",
    "I will create it. Done: lib/a.dart now has the function.",
    "A closure is a function together with the variables it captured.",
    "Файл создан, тесты прошли.",
    "Если хотите, добавлю тесты.",
    "I did not find it. You rejected the call, so nothing was changed.",
    "",
    "I will read " + "a very long explanation. " * 80 + "That is all.",
]


@pytest.mark.parametrize("text", ANNOUNCEMENTS)
def test_an_announced_action_is_missing(text: str) -> None:
    assert announces_action(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_announces_nothing(text: str) -> None:
    assert not announces_action(text)


@pytest.mark.parametrize(
    "text", ["Which file?", "Before I plan: which one?\n- Riverpod\n- Bloc", "**Do you need tests?**", "Какой файл?"]
)
def test_a_question_is_never_reprompted(text: str) -> None:
    assert is_question(text)
    assert missing(text, "architect", needs_plan=True) is None


def missing(
    text: str,
    agent: str = "coder",
    *,
    request: str = "",
    needs_plan: bool = False,
    called: str = "",
    text_calls: bool = True,
) -> str | None:
    found: Missing | None = missing_call(
        text,
        ROSTER[agent],
        {tool.name for tool in ROSTER[agent].offered()},
        set(called.split()),
        needs_plan=needs_plan,
        text_calls=text_calls,
        request=request,
    )
    return found


def test_an_architect_owes_a_plan_only_for_what_is_not_atomic() -> None:
    text = "You could split it into a backend and a form."
    assert missing(text, "architect") is None
    assert missing(text, "architect", needs_plan=True) == "plan"
    assert missing(text, "architect", needs_plan=True, called="read_file") == "plan"
    assert missing(text, "architect", needs_plan=True, called="write_file") is None
    assert missing(text, "coder", needs_plan=True) is None


def test_code_in_a_reply_is_no_file_where_a_change_was_ordered() -> None:
    code = "Here it is:\n```dart\nvoid main() {}\n```"
    assert missing(code, request="Create lib/main.dart with an empty main function") == "file"
    assert missing(code, request="How do I write an empty main function?") is None
    assert missing(code, request="Create lib/main.dart", called="write_file") is None
    assert missing(code, "ask", request="Create lib/main.dart") is None


@pytest.mark.parametrize(
    "text", ["I have created notes.txt.", "The file was successfully updated.", "Файл notes.txt создан.", "Added it."]
)
def test_a_claim_without_any_call_is_not_believed(text: str) -> None:
    assert missing(text, request="Create a file notes.txt") == "claim"
    assert missing(text, request="Create a file notes.txt", called="create_directory") is None
    assert missing(text, request="What was created yesterday?") is None
    assert missing(text, "ask", request="Create a file notes.txt") is None


@pytest.mark.parametrize(
    "text",
    [
        '<tools>\n  <function name="read_file" arguments=\'{"path": "a"}\'/>\n</tools>',
        "<tool_response>\nError: no\n</tool_response>",
        '<invoke name="read_file">',
        '{"name": "read_file", "arguments": {"path": "a',
        '```json\n{"tool": "read_file", "args": {"path": \'a\'}',
        '1. read_file {"path": "a"}\n2. attempt_completion {"result": "a now has it."}',
        '- `read_file` {"path": "a"}\n- `list_files` {}',
        "read_file(path='a'), then I change it",
        '```\nread_file: {"path": "a"}\n```\nand then the rest',
    ],
)
def test_a_call_in_a_markup_of_its_own_is_no_answer(text: str) -> None:
    assert missing(text) == missing(text, "ask") == "action"
    assert missing(f"In XML one writes {text}") is None
    assert missing(text, text_calls=False) is None


@pytest.mark.parametrize(
    "text",
    ["main() { is where it starts.", "1. Read the docs (all of them)", "read_file reads a file.", "`a.py` (new)"],
)
def test_a_text_that_begins_like_code_is_an_answer(text: str) -> None:
    assert missing(text) is None


def test_nothing_is_missing_where_no_tool_is_offered() -> None:
    found = missing_call(
        "Let me read it.", ROSTER["coder"], set(), set(), needs_plan=False, request="", text_calls=True
    )
    assert found is None
