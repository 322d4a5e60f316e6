"""Calls and thoughts as the chat templates of model families write them, in pieces of any size."""

from __future__ import annotations

from typing import Any

import pytest

from llm.reply.text import ReplyText, Thoughts

NAMES = ("read_file", "write_file")
CALL = '{"name": "read_file", "arguments": {"path": "a.py"}}'
PARAMETERS = '{"name": "read_file", "parameters": {"path": "a.py"}}'
INVOKE = '<invoke name="read_file">\n<parameter name="path">a.py</parameter>\n</invoke>'
FUNCTION = "<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>"

CALLS = {
    "Hermes": f"<tool_call>\n{CALL}\n</tool_call>",
    "Anthropic": f"<function_calls>\n{INVOKE}\n</function_calls>",
    "MiniMax": f"<minimax:tool_call>\n{INVOKE}\n</minimax:tool_call>",
    "DeepSeek V3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read_file\n```json\n"
    '{"path": "a.py"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "DeepSeek V3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="read_file">\n<｜DSML｜parameter name="path" '
    'string="true">a.py</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    "Qwen3 Coder": f"<tool_call>\n{FUNCTION}\n</tool_call>",
    "Seed": f"<seed:tool_call>\n{FUNCTION}\n</seed:tool_call>",
    "Llama": f"<|python_tag|>{PARAMETERS}",
    "Llama, in Python": '<|python_tag|>read_file.call(path="a.py")',
    "Mistral": f"[TOOL_CALLS][{CALL}]",
    "Mistral Small": '[TOOL_CALLS]read_file[ARGS]{"path": "a.py"}',
    "gpt-oss": '<|channel|>commentary to=functions.read_file <|constrain|>json<|message|>{"path": "a.py"}<|call|>',
    "gpt-oss, thinking": "<|channel|>analysis<|message|>secret<|end|><|start|>assistant<|channel|>commentary "
    'to=functions.read_file<|message|>{"path": "a.py"}',
    "Gemma": '```tool_code\nprint(default_api.read_file(path = "a.py"))\n```',
    "Granite": f"<|tool_call|>[{CALL}]",
    "Cohere": '<|START_THINKING|>secret<|END_THINKING|><|START_ACTION|>[\n {"tool_call_id": "0", "tool_name": '
    '"read_file", "parameters": {"path": "a.py"}}\n]<|END_ACTION|>',
    "Nemotron": f"<TOOLCALL>[{CALL}]</TOOLCALL>",
    "InternLM": f"<|action_start|><|plugin|>\n{PARAMETERS}<|action_end|>",
    "Apertus": '<|tools_prefix|>[{"read_file": {"path": "a.py"}}]<|tools_suffix|>',
    "Hunyuan": '<tool_calls>\n<tool_call>read_file\n```json\n{"path": "a.py"}\n```\n</tool_call>\n</tool_calls>',
    "Step": '<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="read_file">'
    '<steptml:parameter name="path">a.py</steptml:parameter></steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>',
    "Kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.read_file:0<|tool_call_argument_begin|>"
    '{"path": "a.py"}<|tool_call_end|><|tool_calls_section_end|>',
    "GLM": "<tool_call>read_file\n<arg_key>path</arg_key>\n<arg_value>a.py</arg_value>\n</tool_call>",
    "elements": '<tool_use>\n<name>read_file</name>\n<arguments>{"path": "a.py"}</arguments>\n</tool_use>',
    "elements named like tools": "I will read it.\n\n<read_file>\n<path>a.py</path>\n</read_file>",
}


def read(text: str, size: int) -> tuple[str, list[Any], str]:
    """The answer, the calls and the thoughts of a text that comes in pieces."""
    thoughts, answer = Thoughts(), ReplyText(NAMES)
    for start in range(0, len(text), size):
        answer.feed(thoughts.feed(text[start : start + size]))
    answer.feed(thoughts.end())
    answer.close()
    return answer.text, [(call.name, call.arguments) for call in answer.calls], thoughts.text


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("family", CALLS)
def test_a_call_is_taken_and_not_shown(family: str, size: int) -> None:
    shown, calls, _ = read(CALLS[family], size)
    assert calls == [("read_file", {"path": "a.py"})]
    assert shown.strip() in ("", "I will read it.")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        "<think>secret</think>\n\nHello you",
        "<think>secret</think><think>secret</think>Hello you",
        "[THINK]secret[/THINK]Hello you",
        "<seed:think>secret</seed:think>Hello you",
        "◁think▷secret◁/think▷Hello you",
        "<|channel|>analysis<|message|>secret<|end|><|start|>assistant<|channel|>final<|message|>Hello you<|return|>",
        "<|channel|>final<|message|>Hello you",
        "<|START_THINKING|>secret<|END_THINKING|><|START_RESPONSE|>Hello you<|END_RESPONSE|>",
        "Hello you<|im_end|>",
        "Hello you</s>\n",
    ],
)
def test_thoughts_and_the_marks_of_a_template_are_not_shown(text: str, size: int) -> None:
    shown, calls, thoughts = read(text, size)
    assert (shown, calls) == ("Hello you", [])
    assert set(thoughts.split("secret")) <= {""}


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "text",
    [
        "In HTML <s>this</s> is struck.",
        "a < b and b <",
        "The marks <|im_end|> and </s> end a reply.",
        "<reading>the gauge</reading>",
        "The element <read_file> is ours.",
        "<div>\n<p>Hello</p>\n</div>",
        "<|channel",
        "< think >",
    ],
)
def test_a_text_that_only_looks_alike_is_shown_whole(text: str, size: int) -> None:
    assert read(text, size) == (text, [], "")
