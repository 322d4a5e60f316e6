"""Through a gateway as the original had it: all scenarios, and a model that is silent for longer than it waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ide import answer_of, kinds
from tests.openai_stub import OpenAIStub
from tests.protocol.gateway import READ_TIMEOUT_S, Gateway, received
from tests.protocol.scenario import Scenario
from tests.protocol.test_scenarios import FILES, settings_of
from tests.running import KEY, running_server
from tests.servers import Serve


class RelayedScenario(Scenario):
    """A scenario whose messages go through a gateway; REST goes to the runtime, as the original's did."""

    gateway: Gateway

    def post(self, body: dict[str, Any]) -> tuple[httpx.Response, list[dict[str, Any]]]:
        self.gateway.session_id = body.get("session_id")
        return received(self.gateway.send(body["message"]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_through_the_relay(file: Path, shared: Serve, stub: OpenAIStub) -> None:
    script = json.loads(file.read_text(encoding="utf-8"))
    client = shared(**settings_of(script))
    user = {"X-End-User": client.headers["X-End-User"]}
    scenario = RelayedScenario(script, client, stub)
    scenario.gateway = Gateway(str(client.base_url), KEY, version=script.get("protocol_version"), headers=user)
    try:
        scenario.play()
    finally:
        scenario.gateway.close()
    assert scenario.gateway.dropped == []


def test_messages_are_answered_in_order(db_url: str, stub: OpenAIStub) -> None:
    stub.script([{"text": f"Answer {number}"} for number in range(5)])
    with running_server(db_url=db_url, llm_model="scripted", llm_proxy_url=stub.url) as url:
        gateway = Gateway(url, KEY, session_id="s")
        sent = [
            gateway.send({"type": "user_message", "content": str(number), "agent_type": "ask"}) for number in range(5)
        ]
        answers = [answer_of(received(out)[1]) for out in sent]
        gateway.close()
        assert answers == [f"Answer {number}" for number in range(5)]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
def test_a_model_that_is_silent_for_70_seconds(db_url: str, stub: OpenAIStub) -> None:
    """The gateway hangs up after 60 s without bytes: keep-alives hold it, and they never reach the client."""
    silence_s = READ_TIMEOUT_S + 10
    stub.script([{"text": "At last.", "silent_s": silence_s}])
    settings = {"db_url": db_url, "llm_model": "scripted", "llm_proxy_url": stub.url, "llm_timeout_seconds": 120}
    with running_server(**settings) as url:
        gateway = Gateway(url, KEY, session_id="s")
        response, chunks = received(
            gateway.send({"type": "user_message", "content": "Take your time", "agent_type": "ask"}), silence_s + 50
        )
        gateway.close()
        assert (response.status_code, gateway.dropped) == (200, [])
        assert kinds(chunks) == ["session_info", "assistant_message"]
        assert answer_of(chunks) == "At last."
        assert gateway.comments >= silence_s // 15 - 1
