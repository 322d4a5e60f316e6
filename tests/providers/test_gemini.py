"""Gemini through its OpenAI-compatible address: unknown names, the order of turns, thought signatures."""

from __future__ import annotations

import pytest

from tests.providers.conversation import CONVERSATIONS, converse, fails_once, usable
from tests.providers.provider import Json, Provider, Refusal, Style, calls_of, strict_turns, whole_contents


def error(message: str) -> Refusal:
    return 400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]


def unknown_name(*names: str) -> list[object]:
    def rule_for(name: str) -> object:
        said = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
        return lambda body: error(said) if name in body else None

    return [rule_for(name) for name in names]


def signatures(body: Json) -> Refusal | None:
    lacking = any("extra_content" not in call for call in calls_of(body))
    said = (
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance."
    )
    return error(said) if lacking else None


def plain_schemas(body: Json) -> Refusal | None:
    said = (
        'Invalid JSON payload received. Unknown name "additionalProperties" at '
        "'tools[0].function_declarations[0].parameters': Cannot find field."
    )
    return error(said) if "additionalProperties" in str(body.get("tools", "")) else None


TURNS = strict_turns(
    error(
        "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
    )
)
PARTS = whole_contents(error("Unable to submit request because it must include at least one parts field."))
RULES = [TURNS, PARTS]
SIGNED = Style(
    call_id=lambda n: f"function-call-{n:020d}",
    call_extras={"extra_content": {"google": {"thought_signature": "CsYBAdHtim"}}},
    finish="stop",
)
PLAIN = Style(call_id=lambda _: "", finish="stop", with_index=False)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_conversations(conversation: str) -> None:
    await usable(Provider(RULES, PLAIN), conversation, model="gemini-2.5-flash")


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_thought_signatures_are_returned(conversation: str) -> None:
    models = await usable(Provider([*RULES, signatures], SIGNED), conversation, model="gemini-3-pro")
    assert not models.counts["change", "any_signature"]


async def test_calls_of_another_model_get_the_signature_that_is_not_checked() -> None:
    await usable(Provider([*RULES, signatures], PLAIN), "reads and answers", model="gemini-3-pro")


async def test_unknown_names_are_left_out() -> None:
    rules = [*RULES, *unknown_name("parallel_tool_calls", "stream_options")]
    await usable(Provider(rules, PLAIN), "completes by a call")  # type: ignore[arg-type] # rules of one kind


async def test_schemas_without_what_older_versions_do_not_know() -> None:
    await usable(Provider([*RULES, plain_schemas], PLAIN), "reads and answers")


@pytest.mark.parametrize("name", ["default_api.read_file", "default_api:read_file"])
async def test_names_with_the_prefix_of_its_python_tools(name: str) -> None:
    style = Style(name=lambda written: name if written == "read_file" else written, finish="stop")
    models = await usable(Provider(RULES, style), "reads and answers")
    assert models.counts["repair", "name"] == 1


async def test_a_path_in_the_address_is_taken_as_given() -> None:
    provider = Provider(RULES, PLAIN)
    with provider:
        await converse(provider, [[{"text": "Hi."}]], proxy_url=f"{provider.url}/v1beta/openai/")
    assert provider.requests[0]["path"] == "/v1beta/openai/chat/completions"


async def test_a_blocked_prompt_ends_with_the_reason() -> None:
    body = [{"error": {"code": 400, "message": "The prompt was blocked: PROHIBITED_CONTENT", "status": "FAILED"}}]
    await fails_once(Provider(RULES, PLAIN), {"status": 400, "body": body}, "The prompt was blocked")
