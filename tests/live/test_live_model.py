"""A real model, opt-in: `LIVE_LLM_URL=http://127.0.0.1:8080 LIVE_LLM_MODEL=name uv run pytest tests/live`.

Only structure is asserted: runs end, calls are valid, text and usage arrive. `agent-runtime eval` measures quality.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

import llm.chat_model
from evaluation.tasks import Task
from evaluation.trial import run_trial
from llm.chat_model import Endpoint, ModelKeys, Models
from tests.ide import Ide, final_kinds, only
from tests.running import api_client, running_server

URL = os.environ.get("LIVE_LLM_URL", "")
MODEL = os.environ.get("LIVE_LLM_MODEL", "live")
KEY = os.environ.get("LIVE_LLM_KEY") or None
pytestmark = [
    pytest.mark.skipif(not URL, reason="LIVE_LLM_URL names no model server"),
    pytest.mark.timeout(900),
]


@pytest.fixture(autouse=True)
def _allow_the_model(_no_real_models: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm.chat_model, "ALLOW_REMOTE_MODELS", True)


@pytest.fixture
def ide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ide]:
    file = tmp_path_factory.mktemp("live") / "live.db"
    settings = {"db_url": f"sqlite:///{file}", "llm_model": MODEL, "llm_proxy_url": URL, "llm_api_key": KEY}
    with running_server(**settings, max_model_calls_per_turn=6) as url, api_client(url) as client:
        client.timeout = httpx.Timeout(600)
        yield Ide.opened(client)


def test_a_question_is_answered_and_counted(ide: Ide) -> None:
    chunks = ide.say("What is a closure? One sentence.", agent_type="ask")
    ended = only(chunks, "done")["metadata"]
    assert ended["outcome"] in ("completed", "awaiting_tool", "failed")
    assert ended["usage"]["llm_calls"] >= 1
    if ended["outcome"] == "completed":
        assert only(chunks, "assistant_message")["content"]


def test_a_turn_with_tools_ends_within_its_limits(ide: Ide) -> None:
    chunks = ide.say("Read the file config.json and tell me the port.", agent_type="ask")
    for _ in range(8):
        calls = [c for c in chunks if c["type"] == "tool_call"]
        if not calls:
            break
        for call in calls:
            assert call["arguments"] is not None
            chunks = ide.result(call["call_id"], {"success": True, "content": '{"port": 8123}'})
    assert "tool_call" not in final_kinds(chunks)
    assert ide.status() == "idle"


async def test_a_task_is_carried_out_or_ends_with_a_reason() -> None:
    models = Models(model=MODEL, endpoint=Endpoint(URL, keys=ModelKeys(KEY)))
    task = Task(
        name="create", agent="coder", text='Create a file a.txt with content "x"', tools=frozenset({"write_file"})
    )
    trial = await run_trial(task, models)
    await models.aclose()
    assert trial.model_calls >= 1
    assert trial.passed or trial.error or trial.problem or trial.implicit
