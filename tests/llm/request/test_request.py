"""What is sent to a model server: the body, the headers, and what is left out after a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage

from errors import ModelBadReply
from llm.chat_model import Retry
from tests.llm.asking import ASK, READ, SCHEMA, fails
from tests.llm.conftest import MakeModels
from tests.openai_stub import OpenAIStub
from tools.catalog import BY_NAME, TOOLS


async def test_the_request_is_what_the_protocol_says(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}])
    call = {"id": "c1", "name": "read_file", "args": {"path": "ä"}, "type": "tool_call"}
    messages = [*ASK, AIMessage("", tool_calls=[call]), ToolMessage("body", tool_call_id="c1")]
    await make_models().reply(messages, tools=[BY_NAME["read_file"]])
    request = stub.requests[0]
    assert request["path"] == "/v1/chat/completions"
    assert request["body"] == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [BY_NAME["read_file"].declaration],
        "parallel_tool_calls": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "id": "c1", "function": {"name": "read_file", "arguments": '{"path": "ä"}'}}
                ],
            },
            {"role": "tool", "content": "body", "tool_call_id": "c1"},
        ],
    }
    assert stub.violations == []


async def test_optional_fields_are_sent_only_when_wished(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"text": "ok"}] * 2)
    models = make_models()
    await models.reply(ASK)
    assert set(stub.last_agent_request) == {"model", "messages", "stream", "stream_options"}
    await models.reply(ASK, tools=TOOLS, tool_choice="required", temperature=0.0)
    assert stub.last_agent_request["tool_choice"] == "required"
    assert stub.last_agent_request["temperature"] == 0.0
    assert [tool["function"]["name"] for tool in stub.last_agent_request["tools"]] == [tool.name for tool in TOOLS]


async def test_the_schema_is_sent_as_response_format(stub: OpenAIStub, make_models: MakeModels) -> None:
    await make_models().reply(ASK, temperature=0.3, json_schema=SCHEMA)
    sent = stub.requests[0]["body"]["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"internal_key": "inner"}, {"x-internal-auth": "inner"}),
        ({"internal_key": None}, {}),
        ({"internal_key": "inner", "api_key": "outer"}, {"authorization": "Bearer outer"}),
    ],
)
async def test_only_our_own_key_goes_out(
    stub: OpenAIStub, make_models: MakeModels, monkeypatch: pytest.MonkeyPatch, keys: Any, expected: Any
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "leak")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    stub.script([{"text": "ok"}])
    await make_models(**keys, max_retries=0).reply(ASK)
    headers = stub.requests[0]["headers"]
    assert "leak" not in str(headers)
    assert {name: headers[name] for name in ("x-internal-auth", "authorization") if name in headers} == expected
    assert set(headers) - set(expected) == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "connection",
    }


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_every_form_of_the_address_works(stub: OpenAIStub, make_models: MakeModels, ending: str) -> None:
    stub.script([{"text": "ok"}])
    await make_models(proxy_url=stub.url + ending).reply(ASK)
    assert stub.requests[0]["path"] == "/v1/chat/completions"


async def test_response_format_is_dropped_after_a_400_and_remembered(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400, "body": {"error": {"message": "unknown field"}}}, {"text": "{}"}, {"text": "{}"}])
    models = make_models(max_retries=0)
    told: list[Retry] = []
    reply = await models.reply(ASK, json_schema=SCHEMA, on_retry=told.append)
    assert (reply.text, reply.attempts, told) == ("{}", 2, [])
    assert ["response_format" in request["body"] for request in stub.requests] == [True, False]
    await models.reply(ASK, json_schema=SCHEMA)
    assert "response_format" not in stub.last_agent_request


async def test_tool_choice_is_dropped_after_a_400_and_remembered(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400}, READ, READ])
    models = make_models(max_retries=0)
    assert (await models.reply(ASK, tools=TOOLS, tool_choice="required")).calls
    await models.reply(ASK, tools=TOOLS, tool_choice="required")
    assert ["tool_choice" in request["body"] for request in stub.requests] == [True, False, False]


async def test_a_field_that_the_server_names_is_dropped_alone(stub: OpenAIStub, make_models: MakeModels) -> None:
    stub.script([{"status": 400, "body": {"error": {"param": "parallel_tool_calls"}}}, {"text": "ok"}])
    models = make_models()
    assert (await models.reply(ASK, tools=TOOLS)).text == "ok"
    assert "parallel_tool_calls" not in stub.last_agent_request
    assert "tools" in stub.last_agent_request


@pytest.mark.parametrize(
    "error",
    [
        {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds the available context size"},
        {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens"},
    ],
)
async def test_a_conversation_that_is_too_long_is_reported_as_such(
    stub: OpenAIStub, make_models: MakeModels, error: Any
) -> None:
    stub.script([{"status": 400, "body": {"error": error}}, {"text": "never"}])
    raised = await fails(make_models(), json_schema=SCHEMA, tools=TOOLS, tool_choice="required")
    assert isinstance(raised, ModelBadReply)
    assert "too long" in raised.message
    assert stub.left == 1
