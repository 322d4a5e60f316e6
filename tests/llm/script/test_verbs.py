"""The eight verbs of the scripted model, carried out in a real folder, in English and in Russian."""

from __future__ import annotations

import pytest

from tests.llm.script.conftest import APP
from tests.llm.script.conversation import Conversation, as_data


@pytest.mark.parametrize(
    ("text", "folder", "name"),
    [
        ("list files", ".", "README.md"),
        ("What files are in this project?", ".", "src/"),
        ("Покажи файлы", ".", "app.py"),
        ("какие файлы есть в проекте?", ".", "app.py"),
        ("list the files in src", "src", "sums.py"),
        ("покажи файлы в папке src", "src", "sums.py"),
    ],
)
async def test_files_are_listed(chat: Conversation, text: str, folder: str, name: str) -> None:
    assert name in await chat.send(text)
    assert chat.made == [("list_files", {"path": folder})]


@pytest.mark.parametrize(
    "text", ["Read README.md and explain it", "explain `README.md`", "Прочитай и объясни README.md", "о чём README.md?"]
)
async def test_a_file_is_read_and_summed_up(chat: Conversation, text: str) -> None:
    answer = await chat.send(text)
    assert chat.made == [("read_file", {"path": "README.md"})]
    assert all(found in answer for found in ("7", "Demo", "Install", "Nothing to do."))


@pytest.mark.parametrize("text", ["What does app.py do?", "что делает app.py?"])
async def test_code_is_summed_up_by_its_definitions(chat: Conversation, text: str) -> None:
    assert "class Cart, def main" in await chat.send(text)


@pytest.mark.parametrize("text", ["show lines 8-9 of app.py", "покажи строки 8-9 из app.py"])
async def test_lines_of_a_file_are_shown(chat: Conversation, text: str) -> None:
    assert "print('one')" in await chat.send(text)
    assert chat.made == [("read_file", {"path": "app.py", "start_line": 8, "end_line": 9})]


@pytest.mark.parametrize(
    "text",
    ["search for add", "Find all uses of `add`", "Where is `add` defined?", "где используется add?", "найди «add»"],
)
async def test_text_is_searched(chat: Conversation, text: str) -> None:
    assert "src/sums.py:1" in await chat.send(text)
    assert chat.made == [("search_in_code", {"query": "add"})]


@pytest.mark.parametrize(
    ("text", "path", "content"),
    [
        ('Create a file notes/a.txt with "hello there"', "notes/a.txt", "hello there"),
        ("write `x = 1` to x.py", "x.py", "x = 1"),
        ("Create b.py with:\n```python\nprint(1)\nprint(2)\n```", "b.py", "print(1)\nprint(2)\n"),
        ("создай файл привет.txt с текстом «Привет, мир»", "привет.txt", "Привет, мир"),
        ("запиши `y = 2` в y.py", "y.py", "y = 2"),
        ("create c.txt with the text good morning", "c.txt", "good morning"),
        ("Create an empty file d.py", "d.py", ""),
    ],
)
async def test_a_file_is_created_with_the_given_content(chat: Conversation, text: str, path: str, content: str) -> None:
    answer = await chat.send(text)
    assert (chat.folder / path).read_text() == content
    assert chat.tools() == ["write_file", "attempt_completion"]
    assert path in answer


@pytest.mark.parametrize("text", ["create a folder lib/new", "создай папку lib/new"])
async def test_a_folder_is_created(chat: Conversation, text: str) -> None:
    await chat.send(text)
    assert (chat.folder / "lib" / "new").is_dir()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("replace `one` with `two` in app.py", APP.replace("one", "two")),
        ("change 'one' to 'two' in app.py", APP.replace("one", "two")),
        ("In app.py replace one with two", APP.replace("one", "two")),
        ("замени «one» на «two» в файле app.py", APP.replace("one", "two")),
        ("append `print(2)` to app.py", APP + "print(2)\n"),
        ("допиши `print(2)` в конец app.py", APP + "print(2)\n"),
        ("append `a = 1` to app.py, then append `b = 2` to it", APP + "a = 1\nb = 2\n"),
    ],
)
async def test_a_file_is_changed(chat: Conversation, text: str, expected: str) -> None:
    await chat.send(text)
    assert (chat.folder / "app.py").read_text() == expected
    assert chat.tools()[-1] == "attempt_completion"


async def test_nothing_is_written_when_there_is_nothing_to_replace(chat: Conversation) -> None:
    assert "does not contain" in await chat.send("replace `absent` with `x` in app.py")
    assert chat.tools() == ["read_file", "attempt_completion"]


@pytest.mark.parametrize(
    "result",
    [
        '{"success": true, "content": "im\n[... 900 characters left out ...]\n"}',
        "import os\n[... 900 characters left out ...]\nmain()",
        "[This result was cleared to save space. Call read_file again if you still need it.]",
        '{"success": true}',
    ],
)
async def test_a_file_that_did_not_arrive_whole_is_not_written_back(chat: Conversation, result: str) -> None:
    chat.decide = lambda tool, _: as_data(tool, result) if tool == "read_file" else None
    assert "did not get all" in await chat.send("append `x` to app.py")
    assert (chat.folder / "app.py").read_text() == APP


@pytest.mark.parametrize(
    "text", ["run `python app.py`", "Run app.py", "запусти `python app.py`", "выполни команду `python app.py`"]
)
async def test_a_command_is_run(chat: Conversation, text: str) -> None:
    answer = await chat.send(text)
    assert chat.made[0] == ("execute_command", {"command": "python app.py"})
    assert "one" in answer
    assert "0" in answer


SUMS = [
    ("calculate 2+3*4", "14"),
    ("what is (2+3)*4?", "20"),
    ("сколько будет 15*7?", "105"),
    ("посчитай 2^10", "1024"),
]


@pytest.mark.parametrize(("text", "result"), SUMS)
async def test_arithmetic_goes_to_the_calculator_where_it_is_offered(
    chat: Conversation, text: str, result: str
) -> None:
    chat.agent = "universal"
    assert result in await chat.send(text)
    assert chat.tools() == ["calculator"]


@pytest.mark.parametrize(("text", "result"), SUMS)
async def test_arithmetic_without_a_calculator_is_answered_at_once(chat: Conversation, text: str, result: str) -> None:
    assert result in await chat.send(text)
    assert chat.tools() == []


@pytest.mark.parametrize(
    "text",
    [
        "First list files; then read app.py, and then replace `one` with `two` in it, finally run app.py",
        "покажи файлы, потом прочитай app.py, затем замени `one` на `two` в нём, после этого запусти `python app.py`",
        "1. list files\n2. read app.py\n3. replace `one` with `two` in app.py\n4. run app.py",
    ],
)
async def test_a_chain_is_done_one_call_at_a_time(chat: Conversation, text: str) -> None:
    answer = await chat.send(text)
    expected = ["list_files", "read_file", "read_file", "write_file", "execute_command", "attempt_completion"]
    assert chat.tools() == expected
    assert "two" in answer
    assert (chat.folder / "app.py").read_text() == APP.replace("one", "two")


async def test_a_failing_command_ends_the_chain(chat: Conversation) -> None:
    answer = await chat.send("run `python -c 1/0`; create x.py; list files")
    assert "exit code 1" in answer
    assert "ZeroDivisionError" in answer
    assert "Not started: create x.py; list files." in answer
    assert chat.tools() == ["execute_command", "attempt_completion"]
