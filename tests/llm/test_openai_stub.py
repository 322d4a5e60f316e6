"""The model server of the tests keeps its promises."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.openai_stub import DEFAULT_CLASSIFICATION, OpenAIStub

USER = [{"role": "user", "content": "x"}]


def post(stub: OpenAIStub, messages: list[dict[str, Any]] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "m", "messages": USER if messages is None else messages, **fields}
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{stub.url}/v1/chat/completions", json=body)


def test_it_plays_the_script_in_order_and_says_when_it_has_run_out(stub: OpenAIStub) -> None:
    stub.script([{"text": "one"}])
    stub.add({"status": 418, "headers": {"X-A": "b"}, "body": "plain"})
    assert post(stub).json()["choices"][0]["message"]["content"] == "one"
    teapot = post(stub)
    assert (teapot.status_code, teapot.headers["x-a"], teapot.text) == (418, "b", "plain")
    empty = post(stub)
    assert empty.status_code == 500
    assert "run out after 2" in empty.json()["error"]["message"]


def test_the_classifier_takes_nothing_from_the_script(stub: OpenAIStub) -> None:
    stub.script([{"text": "for the agent"}])
    assert str(DEFAULT_CLASSIFICATION["agent"]) in post(stub, temperature=0.3).text
    stub.classify = {"reply": {"status": 503}}
    assert post(stub, temperature=0.3).status_code == 503
    assert post(stub, temperature=0.3, tools=[{}]).status_code == 200
    assert (stub.classifier_calls, stub.agent_calls, stub.left) == (2, 1, 0)
    assert stub.last_agent_request["tools"] == [{}]


@pytest.mark.parametrize(
    ("messages", "count"),
    [
        ([*USER, {"role": "assistant", "tool_calls": [{"id": "c"}]}], 1),
        ([*USER, {"role": "tool", "tool_call_id": "c"}], 1),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}, *USER, {"role": "tool", "tool_call_id": "c"}], 2),
        ([{"role": "assistant", "tool_calls": [{"id": "c"}]}, {"role": "tool", "tool_call_id": "c"}, *USER], 0),
    ],
)
def test_broken_histories_are_recorded(stub: OpenAIStub, messages: list[dict[str, Any]], count: int) -> None:
    post(stub, messages)
    assert len(stub.violations) == count


def test_a_cut_connection_is_cut(stub: OpenAIStub) -> None:
    stub.script([{"text": "a b c", "drop_after": 10}])
    with pytest.raises(httpx.RemoteProtocolError):
        post(stub, stream=True)


async def test_it_serves_inside_an_event_loop_too() -> None:
    async with OpenAIStub(streaming=False) as stub:
        stub.script([{"text": "hi"}])
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.post(
                f"{stub.url}/v1/chat/completions", json={"model": "m", "messages": USER, "stream": True}
            )
        assert reply.json()["choices"][0]["message"]["content"] == "hi"
        assert stub.requests[0]["headers"]["content-type"] == "application/json"
