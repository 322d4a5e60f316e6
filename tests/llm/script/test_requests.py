"""Which requests the scripted model understands: whole or not at all, and what it says of itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from llm.chat_model import Models
from llm.script.request import NotUnderstood, read_request
from llm.script.verbs import VERBS
from tests.llm.script.conversation import Conversation, tools_of
from tools.catalog import BY_NAME


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("first create a.py, then make it beautiful", "make it beautiful"),
        ("create a.py, then frobnicate b.py, then run a.py", "frobnicate b.py"),
        ("сначала создай a.py, потом сделай красиво", "сделай красиво"),
        ("improve it", "improve it"),
        ("read it", "read it"),
        ("run the tests", "run the tests"),
        ("Запусти все тесты", "Запусти все тесты"),
        ("find bugs", "find bugs"),
        ("add error handling to app.py", "add error handling to app.py"),
        ("do not create a.py", "do not create a.py"),
        ("create a.py and b.py", "create a.py and b.py"),
        ("write a function that adds two numbers", "write a function that adds two numbers"),
        ("Create calc.py with a function multiply(a, b)", "Create calc.py with a function multiply(a, b)"),
        ("delete app.py", "delete app.py"),
        ("change the port to 8090 in app.py", "change the port to 8090 in app.py"),
        ("поменяй порт на 8090 в app.py", "поменяй порт на 8090 в app.py"),
        ("What is Node.js?", "What is Node.js"),
        ("Что такое замыкание?", "Что такое замыкание"),
    ],
)
@pytest.mark.parametrize("agent", ["coder", "architect", "ask"])
async def test_a_request_that_is_not_understood_whole_is_not_begun(
    chat: Conversation, text: str, clause: str, agent: str
) -> None:
    chat.agent = agent
    answer = await chat.send(text)
    assert chat.made == []
    assert clause in answer
    is_russian = any("а" <= letter <= "я" for letter in text)
    assert ("Я могу показать" if is_russian else "I can list and read") in answer


@pytest.mark.parametrize(("text", "said"), [("hello", "I am the built-in"), ("Привет!", "Я встроенная"), ("", "I can")])
async def test_a_greeting_is_answered_with_what_the_model_can_do(chat: Conversation, text: str, said: str) -> None:
    answer = await chat.send(text)
    assert said in answer
    assert "understand" not in answer
    assert chat.made == []


@pytest.mark.parametrize("is_russian", [False, True])
async def test_every_example_that_the_model_gives_of_itself_is_understood(chat: Conversation, is_russian: bool) -> None:
    answer = await chat.send("Привет" if is_russian else "hello")
    examples = answer.partition("Попробуйте: " if is_russian else "Try: ")[2].rstrip(".")
    steps = [
        step for part in examples.split(", ") for step in read_request(part.strip("`").replace("run `ls ", "run `ls`"))
    ]
    assert {step.verb.name for step in steps} == {verb.name for verb in VERBS}


@pytest.mark.parametrize(
    "text", ["?", "…", "#", "then then; ;", "`", "create", "\ue0000\ue001", "x" * 20_000, "a " * 5_000]
)
async def test_odd_requests_are_not_understood(chat: Conversation, text: str) -> None:
    assert await chat.send(text)
    assert chat.made == []


_WORDS = ["read", "create", "run", "replace", "append", "find", "замени", "создай", "plan", "to", "in", "with", "then"]
_LINKS = ["and", "потом", "на", ";", "\n", ".", "?", "it", "a.py", "src/", "`x`", '"y"', "1+2", ".md", "```"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_WORDS + _LINKS) | st.text(max_size=5), max_size=12), st.sampled_from(["coder", "ask"]))
async def test_any_request_gets_a_reply_with_valid_calls(words: list[str], agent: str) -> None:
    reply = await Models().reply([HumanMessage(" ".join(words))], tools=tools_of(agent))
    for call in reply.calls:
        assert call.arguments is not None
        assert BY_NAME[call.name].misfit(call.arguments) is None


def test_a_chain_that_is_too_long_is_not_begun() -> None:
    with pytest.raises(NotUnderstood):
        read_request("read a.py; " * 3_000)
