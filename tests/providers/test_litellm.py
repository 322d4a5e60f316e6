"""LiteLLM in front of other servers: parameters that it refuses by list, its own error text with status 200."""

from __future__ import annotations

import pytest

from tests.providers.conversation import CONVERSATIONS, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Rule, Style, openai_error, paired_results


def unsupported(*names: str) -> Rule:
    def rule(body: Json) -> Refusal | None:
        found = [name for name in names if name in body]
        return (
            openai_error(
                f"litellm.UnsupportedParamsError: ollama does not support parameters: {found}, for model=llama3. To "
                "drop these, set `litellm.drop_params=True` or for proxy: `litellm_settings: drop_params: true`"
            )
            if found
            else None
        )

    return rule


def no_names(body: Json) -> Refusal | None:
    return (
        openai_error("litellm.BadRequestError: name is not allowed")
        if any("name" in m for m in body["messages"])
        else None
    )


def terse(*names: str) -> Rule:
    """A proxy that says no more than that the request is bad."""
    return lambda body: (400, "Bad Request") if any(name in body for name in names) else None


RULES = [no_names, paired_results]
STYLE = Style(message_extras={"provider_specific_fields": {"refusal": None, "citations": ["x"]}})


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    await usable(Provider(RULES, STYLE), conversation, model="ollama/llama3")


@pytest.mark.parametrize(
    "names", [["parallel_tool_calls"], ["stream_options"], ["temperature"], ["max_tokens", "max_completion_tokens"]]
)
async def test_parameters_that_it_refuses_by_name(names: list[str]) -> None:
    await usable(Provider([*RULES, unsupported(*names)], STYLE), "completes by a call")


@pytest.mark.parametrize(
    "names", [["parallel_tool_calls"], ["stream_options"], ["parallel_tool_calls", "stream_options"]]
)
async def test_the_likeliest_field_is_left_out_where_none_is_named(names: list[str]) -> None:
    provider = Provider([*RULES, terse(*names)])
    models = await usable(provider, "reads and answers")
    assert all(models.counts["change", f"no_{name}"] == 1 for name in names)
    assert "tools" in provider.last_agent_request


async def test_a_proxy_that_is_not_there_is_an_error_and_no_answer() -> None:
    played = await fails_once(Provider(RULES), {"text": "[Error] LiteLLM proxy unavailable: http://10.0.0.1:4000"})
    assert "10.0.0.1" not in played[1].failures[0]


async def test_a_budget_that_is_used_up_ends_the_turn_with_the_reason() -> None:
    body = {
        "error": {
            "message": "Budget has been exceeded! Current cost: 12.5, Max budget: 10.0",
            "type": "budget_exceeded",
        }
    }
    await fails_once(Provider(RULES), {"status": 400, "body": body}, "Budget has been exceeded")
