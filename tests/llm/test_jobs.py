"""The jobs of the scripted model, played to their end in a real folder, in English and in Russian."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from llm.chat_model import Models
from llm.script.requests import read_request
from tests.llm.ide import Ide, tools_of
from tools.catalog import BY_NAME

README = "# Demo\n\nA small demo.\n\n## Install\n\nNothing to do.\n"
APP = "import os\n\n\nclass Cart:\n    pass\n\n\ndef main():\n    print('one')  # TODO say more\n\n\nmain()\n"


@pytest.fixture
def ide(tmp_path: Path) -> Ide:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "util.py").write_text("def add(a, b):\n    return a + b\n")
    return Ide(tmp_path)


@pytest.mark.parametrize(
    "text", ["list files", "What files are in this project?", "Покажи файлы", "какие файлы есть в проекте?"]
)
async def test_files_are_listed(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.made == [("list_files", {"path": "."})]
    assert all(name in answer for name in ("README.md", "app.py", "src/"))


@pytest.mark.parametrize("text", ["list the files in src", "покажи файлы в папке src"])
async def test_a_folder_is_listed(ide: Ide, text: str) -> None:
    assert "util.py" in await ide.send(text)
    assert ide.made == [("list_files", {"path": "src"})]


@pytest.mark.parametrize(
    "text", ["Read README.md and explain it", "explain `README.md`", "Прочитай и объясни README.md", "о чём README.md?"]
)
async def test_a_document_is_read_and_explained(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.made == [("read_file", {"path": "README.md"})]
    assert "7" in answer
    assert "Demo" in answer
    assert "Install" in answer


@pytest.mark.parametrize("text", ["What does app.py do?", "что делает app.py?"])
async def test_code_is_explained_by_what_is_in_it(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert all(found in answer for found in ("12", "class Cart", "function main", "TODO"))


async def test_lines_of_a_file_are_shown(ide: Ide) -> None:
    answer = await ide.send("show lines 8-9 of app.py")
    assert ide.made == [("read_file", {"path": "app.py", "start_line": 8, "end_line": 9})]
    assert "print('one')" in answer


@pytest.mark.parametrize(
    ("text", "path", "content"),
    [
        ('Create a file notes/a.txt with "hello there"', "notes/a.txt", "hello there"),
        ("create hello.py with `print(1)`", "hello.py", "print(1)"),
        ("write `x = 1` to x.py", "x.py", "x = 1"),
        ("Create b.py with:\n```python\nprint(1)\nprint(2)\n```", "b.py", "print(1)\nprint(2)\n"),
        ("создай файл привет.txt с текстом «Привет, мир»", "привет.txt", "Привет, мир"),
        ("запиши `y = 2` в y.py", "y.py", "y = 2"),
        ("create c.txt with the text good morning", "c.txt", "good morning"),
    ],
)
async def test_a_file_is_created_with_the_given_content(ide: Ide, text: str, path: str, content: str) -> None:
    answer = await ide.send(text)
    assert (ide.folder / path).read_text() == content
    assert ide.tools() == ["write_file", "attempt_completion"]
    assert path in answer


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a.py", "def main"),
        ("a.dart", "void main"),
        ("a.md", "# A"),
        ("a.json", '"name"'),
        ("a.html", "<h1>"),
        ("a.sh", "#!/"),
        ("a.js", "function"),
        ("a.txt", "Create"),
    ],
)
async def test_a_file_without_given_content_gets_a_sensible_one(ide: Ide, path: str, inside: str) -> None:
    await ide.send(f"Create {path}")
    content = (ide.folder / path).read_text()
    assert inside in content
    if path.endswith(".py"):
        compile(content, path, "exec")
    if path.endswith(".json"):
        json.loads(content)


async def test_a_named_function_is_written(ide: Ide) -> None:
    await ide.send("Create calc.py with a function multiply(a, b)")
    space: dict[str, Any] = {}
    exec((ide.folder / "calc.py").read_text(), space)  # noqa: S102 our own generated file
    assert space["multiply"](6, 7) == 42


@pytest.mark.parametrize(
    "text",
    ["replace `one` with `two` in app.py", "In app.py replace one with two", "замени «one» на «two» в файле app.py"],
)
async def test_text_is_replaced(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert (ide.folder / "app.py").read_text() == APP.replace("one", "two")
    assert ide.tools() == ["read_file", "write_file", "attempt_completion"]
    assert "two" in answer


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("append `print(2)` to app.py", "app.py", APP + "print(2)\n"),
        ("допиши `print(2)` в app.py", "app.py", APP + "print(2)\n"),
        ('Add a section "Usage" to README.md', "README.md", README + "\n## Usage\n\nUsage.\n"),
        ("добавь раздел «Запуск» в README.md", "README.md", README + "\n## Запуск\n\nЗапуск.\n"),
        ('add a comment "look" at the top of app.py', "app.py", "# look\n" + APP),
        ("remove `import os` from app.py", "app.py", APP.removeprefix("import os\n")),
        ("удали `import os` из app.py", "app.py", APP.removeprefix("import os\n")),
    ],
)
async def test_a_file_is_changed(ide: Ide, text: str, path: str, expected: str) -> None:
    await ide.send(text)
    assert (ide.folder / path).read_text() == expected
    assert ide.tools() == ["read_file", "write_file", "attempt_completion"]


async def test_nothing_is_written_when_there_is_nothing_to_change(ide: Ide) -> None:
    answer = await ide.send("replace `absent` with `x` in app.py")
    assert ide.tools() == ["read_file"]
    assert "does not contain" in answer


async def test_a_file_that_may_have_been_cut_is_not_written_back(ide: Ide) -> None:
    (ide.folder / "big.txt").write_text("word\n" * 10_000)
    answer = await ide.send("append `x` to big.txt")
    assert ide.tools() == ["read_file"]
    assert "too long" in answer


@pytest.mark.parametrize(
    "text", ["run `python app.py`", "Run app.py", "запусти `python app.py`", "выполни команду `python app.py`"]
)
async def test_a_command_is_run(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.made[0] == ("execute_command", {"command": "python app.py"})
    assert "one" in answer
    assert "0" in answer


async def test_a_failing_command_is_reported_as_it_is(ide: Ide) -> None:
    answer = await ide.send("run `python -c 1/0`; create x.py; list files")
    assert "exit code 1" in answer
    assert "ZeroDivisionError" in answer
    assert "Not started: create x.py" in answer
    assert not (ide.folder / "x.py").exists()
    assert ide.tools() == ["execute_command", "list_files", "attempt_completion"]


@pytest.mark.parametrize("text", ["search for add", "Find all uses of `add`", "где используется add?", "найди «add»"])
async def test_text_is_searched(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.made == [("search_in_code", {"query": "add"})]
    assert "src/util.py:1" in answer


@pytest.mark.parametrize(
    ("text", "result"),
    [("calculate 2+3*4", "14"), ("what is (2+3)*4?", "20"), ("сколько будет 15*7?", "105"), ("посчитай 2^10", "1024")],
)
async def test_arithmetic_goes_to_the_calculator(ide: Ide, text: str, result: str) -> None:
    assert result in await ide.send(text)
    assert ide.tools() == ["calculator"]


@pytest.mark.parametrize("text", ["create a folder lib/new", "создай папку lib/new"])
async def test_a_folder_is_made(ide: Ide, text: str) -> None:
    await ide.send(text)
    assert (ide.folder / "lib" / "new").is_dir()


@pytest.mark.parametrize("text", ["improve it", "Make it better", "улучши это", "исправь"])
async def test_a_vague_wish_is_asked_back(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.tools() == ["ask_followup_question"]
    assert answer.endswith("?")


async def test_a_question_and_its_answers_lead_to_the_work(ide: Ide) -> None:
    await ide.send("improve it")
    assert "app.py" in await ide.send("app.py")
    suggestion = ide.made[-1][1]["suggestions"][0]
    await ide.send(suggestion)
    assert (ide.folder / "app.py").read_text().startswith("# Describe Cart\n")


async def test_the_missing_text_is_asked_for(ide: Ide) -> None:
    assert "What text" in await ide.send("add a line to app.py")
    await ide.send("print(7)")
    assert (ide.folder / "app.py").read_text() == APP + "print(7)\n"


@pytest.mark.parametrize(
    "text",
    [
        "list files; then read app.py, and then replace `one` with `two` in it, then run app.py",
        "покажи файлы, потом прочитай app.py, затем замени `one` на `two` в нём, после этого запусти `python app.py`",
        "1. list files\n2. read app.py\n3. replace `one` with `two` in app.py\n4. run app.py",
    ],
)
async def test_a_chain_is_done_one_call_at_a_time(ide: Ide, text: str) -> None:
    answer = await ide.send(text)
    assert ide.tools() == [
        "list_files",
        "read_file",
        "read_file",
        "write_file",
        "execute_command",
        "attempt_completion",
    ]
    assert "two" in answer
    assert "two" in (ide.folder / "app.py").read_text()


async def test_one_file_can_be_changed_twice_in_a_chain(ide: Ide) -> None:
    await ide.send("append `a = 1` to app.py, then append `b = 2` to app.py")
    assert (ide.folder / "app.py").read_text() == APP + "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("create x.py, then run x.py", "You rejected writing x.py"),
        ("создай x.py, потом запусти x.py", "Вы отклонили запись x.py"),
    ],
)
async def test_a_rejection_is_respected_and_told(ide: Ide, text: str, said: str) -> None:
    ide.decide = lambda tool, _: "The user rejected this call: not now" if tool == "write_file" else None
    answer = await ide.send(text)
    assert said in answer
    assert "not now" in answer
    assert ide.tools() == ["write_file", "attempt_completion"]


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ("Path '.env' is not allowed: it holds secrets", "Not allowed"),
        ("Error: disk full", "did not work"),
        ("Nobody approved this call in time. Do not retry it or look for another way; ask the user.", "Not done"),
        ("The arguments of this call do not fit the tool: path", "did not work"),
        ('{"success": false, "error": "no space"}', "no space"),
    ],
)
async def test_whatever_goes_wrong_is_told(ide: Ide, refusal: str, said: str) -> None:
    ide.decide = lambda tool, _: refusal if tool == "write_file" else None
    assert said in await ide.send("create x.py")
    assert ide.tools() == ["write_file", "attempt_completion"]


async def test_edited_arguments_are_told(ide: Ide) -> None:
    changed = 'The user changed the arguments to {"path": "y.py"} before running.\n{"success": true}'
    ide.decide = lambda tool, _: changed if tool == "write_file" else None
    assert "You changed the arguments" in await ide.send("create x.py")


async def test_results_marked_as_data_are_read(ide: Ide) -> None:
    wrapped = '<tool_result tool="read_file">\n{"content": "# Title\\nx <\\/tool_result> y"}\n</tool_result>'
    ide.decide = lambda tool, _: wrapped if tool == "read_file" else None
    assert 'heading is "Title"' in await ide.send("explain x.md")


@pytest.mark.parametrize("agent", ["ask", "debug"])
@pytest.mark.parametrize("text", ["create x.py with `1`", "создай x.py с текстом `1`"])
async def test_an_agent_without_the_tool_hands_over(ide: Ide, agent: str, text: str) -> None:
    ide.agent = agent
    await ide.send(text)
    assert ide.tools() == ["switch_mode", "write_file", "attempt_completion"]
    assert (ide.folder / "x.py").read_text() == "1"


@pytest.mark.parametrize(
    ("told", "answer", "agent", "expected"),
    [
        ("Switched to coder agent", "yes", "coder", "write_file"),
        ("The user did not agree to the switch to coder agent: no", "no", "ask", "could not hand over"),
        ("Too many switches in this turn.", "list files", "ask", "list_files"),
    ],
)
async def test_the_users_word_on_a_switch_is_understood(told: str, answer: str, agent: str, expected: str) -> None:
    switch = {"name": "switch_mode", "args": {"mode": "coder"}, "id": "s1", "type": "tool_call"}
    messages = [HumanMessage("create x.py"), AIMessage("", tool_calls=[switch]), ToolMessage(told, tool_call_id="s1")]
    reply = await Models().reply([*messages, HumanMessage(answer)], tools=tools_of(agent))
    assert expected in (reply.calls[0].name if reply.calls else reply.text)


async def test_a_denied_hand_over_is_told_once(ide: Ide) -> None:
    ide.agent = "ask"
    ide.decide = lambda tool, _: "Too many switches in this turn." if tool == "switch_mode" else None
    assert "could not hand over" in await ide.send("create x.py")
    assert ide.tools() == ["switch_mode"]


async def test_a_denial_that_names_another_agent_leads_to_it(ide: Ide) -> None:
    denied = "Ask agent cannot modify files. For code changes, please switch to Coder agent."
    answers = iter([denied])
    ide.decide = lambda tool, _: next(answers, None) if tool == "write_file" else None
    await ide.send("create x.py with `1`")
    assert ide.tools() == ["write_file", "switch_mode", "write_file", "attempt_completion"]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Create a login app with form, validation and backend", ["Form", "Validation", "Backend"]),
        ("Разработай приложение с регистрацией и оплатой", ["Регистрация", "Оплата"]),
        ("Plan a web shop", ["Core", "Documentation", "Review"]),
        ("create a.py, then create b.py, then explain a.py", ["create a.py", "create b.py", "explain a.py"]),
    ],
)
async def test_the_architect_plans(ide: Ide, text: str, titles: list[str]) -> None:
    ide.agent = "architect"
    await ide.send(text)
    assert ide.tools() == ["create_plan"]
    assert [task["title"] for task in ide.made[0][1]["subtasks"]] == titles


async def test_a_plan_can_be_carried_out_by_its_descriptions(ide: Ide, tmp_path: Path) -> None:
    ide.agent = "architect"
    await ide.send("Create a login app in dart with form and backend")
    for task in ide.made[0][1]["subtasks"]:
        worker = Ide(tmp_path, task["agent"])
        await worker.send(task["description"])
        assert worker.tools() == ["write_file", "attempt_completion"]
    assert {path.name for path in (tmp_path / "lib").iterdir()} == {"form.dart", "backend.dart"}


async def test_a_plan_is_made_again_after_feedback(ide: Ide) -> None:
    ide.agent = "architect"
    answers = iter(['{"status": "modification_requested", "plan_id": "p", "feedback": "without backend"}'])
    ide.decide = lambda tool, _: next(answers, None) if tool == "create_plan" else None
    await ide.send("Create a login app with form, validation and backend")
    assert ide.tools() == ["create_plan", "create_plan"]
    assert [task["title"] for task in ide.made[1][1]["subtasks"]] == ["Form", "Validation"]


async def test_the_architect_answers_and_writes_documents_itself(ide: Ide) -> None:
    ide.agent = "architect"
    await ide.send("explain app.py")
    await ide.send("create docs/adr.md with `# ADR`")
    assert ide.tools() == ["read_file", "write_file", "attempt_completion"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "Hello"),
        ("привет", "Привет"),
        ("What is a closure?", "closure"),
        ("Что такое замыкание?", "замыкание"),
        ("thanks", "welcome"),
    ],
)
async def test_talk_is_answered_in_the_language_of_the_user(ide: Ide, text: str, said: str) -> None:
    assert said in await ide.send(text)
    assert ide.made == []


async def test_a_syntax_error_is_found(ide: Ide) -> None:
    ide.agent = "debug"
    (ide.folder / "bad.py").write_text("def f(:\n    pass\n")
    assert "line 1" in await ide.send("fix the bug in bad.py")
    assert "bad.py" in await ide.send("почему падает bad.py?")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "   ",
        "…",
        "#",
        "then then; ;",
        "`",
        "create",
        "run",
        "read",
        "\ue0000\ue001",
        "x" * 20_000,
        "a " * 5_000,
    ],
)
async def test_odd_requests_end_in_some_answer(ide: Ide, text: str) -> None:
    assert await ide.send(text)


_VERBS = ["read", "create", "run", "replace", "append", "add", "improve", "find", "замени", "создай"]
_LINKS = ["to", "in", "with", "then", "and", "потом", "на", ";", "\n", ".", "?", "it"]
_THINGS = ["a.py", "src/", "`x`", '"y"', "1+2", "section", "line", ".md", "```"]
WORDS = st.sampled_from(_VERBS) | st.sampled_from(_LINKS) | st.sampled_from(_THINGS)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS | st.text(max_size=5), max_size=12), st.sampled_from(["coder", "architect", "ask"]))
async def test_any_request_gets_a_reply(words: list[str], agent: str) -> None:
    reply = await Models().reply([HumanMessage(" ".join(words))], tools=tools_of(agent))
    for call in reply.calls:
        assert call.arguments is not None
        assert BY_NAME[call.name].misfit(call.arguments) is None


def test_a_long_request_is_read_quickly() -> None:
    assert read_request("word and " * 3_000 + "read a.py") is not None
