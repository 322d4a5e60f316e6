"""prompts/size.py: the prompts that a model's name stands for."""

import pytest

from prompts.size import prompt_size

STRONG = [
    "gpt-4.1", "openai/gpt-4.1", "gpt-4.1-2025-04-14", "gpt-5", "gpt-5-mini", "gpt-5.1-codex", "gpt-oss-120b",
    "gpt-oss:120b", "o3", "o4-mini", "o3-2025-04-16", "claude-sonnet-4-20250514",
    "anthropic/claude-sonnet-4.5", "claude-opus-4-1", "claude-haiku-4-5", "claude-3-7-sonnet-latest",
    "gemini-2.5-pro", "google/gemini-3-flash-preview", "deepseek-chat", "deepseek-reasoner",
    "deepseek-ai/DeepSeek-V3.1", "DeepSeek-R1", "Qwen/Qwen3-Coder-480B-A35B-Instruct", "qwen3-coder-plus",
    "Qwen3-235B-A22B", "moonshotai/kimi-k2-instruct", "glm-4.6", "glm-5", "x-ai/grok-4", "grok-code-fast-1",
    "mistral-large-latest", "devstral-medium",
]  # fmt: skip
NOT_KNOWN_AS_STRONG = [
    "fake-llm", "scripted", "m", "llama-3.3-70b-instruct", "llama3.2:3b", "qwen2.5-coder:7b",
    "qwen3-coder:30b", "qwen3:8b", "Qwen3-Coder-30B-A3B-Instruct", "deepseek-r1:7b",
    "DeepSeek-R1-Distill-Qwen-32B", "gpt-oss:20b", "gpt-oss-20b", "gpt-4o", "gpt-4o-mini", "gpt-4.1-mini",
    "gpt-4.1-nano", "gpt-5-nano", "gemini-2.0-flash", "gemini-2.5-flash", "gemini-3.1-flash-lite",
    "glm-4.5-air", "mistral-small-latest", "codestral-latest", "devstral-small", "phi-4", "gemma3:27b",
    "claude-3-5-haiku", "claude-3-opus", "o1-mini", "mistralai/Mistral-7B-Instruct", "my-gpt-5-like",
]  # fmt: skip


@pytest.mark.parametrize("model", STRONG)
def test_strong_models_get_concise_prompts(model: str) -> None:
    assert prompt_size("auto", model) == "concise"


@pytest.mark.parametrize("model", NOT_KNOWN_AS_STRONG)
def test_every_other_model_is_guided(model: str) -> None:
    assert prompt_size("auto", model) == "guided"


def test_the_operators_choice_stands_above_the_name() -> None:
    assert prompt_size("concise", "qwen3:8b") == "concise"
    assert prompt_size("guided", "gpt-5") == "guided"
