"""Three turns of one session with a provider, through the graph, its tools answered as a client answers them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from context import Context
from graph.builder import build_graph
from llm.chat_model import Endpoint, Models
from policy.decide import Environment, Facts
from tests.providers.provider import Json, Provider, changed_prefix

READ: Json = {"tool": "read_file", "args": {"path": "lib/main.dart"}}
LIST: Json = {"tool": "list_files", "args": {"path": "."}}
DONE: Json = {"tool": "attempt_completion", "args": {"result": "The port is 8123."}}
ASK: Json = {"tool": "ask_followup_question", "args": {"question": "Which port?", "suggestions": ["1", "2"]}}
WRITE: Json = {"tool": "write_file", "args": {"path": "a.md", "content": "# A\n"}}
MAX_PAUSES = 12

CONVERSATIONS: dict[str, list[list[Json]]] = {
    "reads and answers": [[READ, {"text": "It starts the app."}], [LIST, {"text": "Two files."}], [{"text": "Bye."}]],
    "completes by a call": [[READ, DONE], [DONE], [LIST, READ, DONE]],
    "calls two at once": [[{"tools": [READ, LIST]}, {"text": "Both."}], [READ, {"text": "One."}], [{"text": "Bye."}]],
    "speaks beside a call": [
        [{**READ, "text": "I'll read it.\n"}, {"text": "Read."}],
        [{"text": "Yes."}],
        [LIST, DONE],
    ],
    "asks and writes": [[ASK, WRITE, DONE], [READ, {"text": "It is there."}], [DONE]],
}


@dataclass
class Turn:
    """What one turn showed."""

    texts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    cut_to: list[int] = field(default_factory=list)
    """The tokens that the server said it had read of a longer request."""
    asked: list[str] = field(default_factory=list)
    """The calls that a person was asked about."""

    @property
    def is_usable(self) -> bool:
        """Whether the turn ended with an answer or a question, and without an error."""
        return bool(self.texts) and not self.failures


async def converse(
    provider: Provider,
    turns: Sequence[Sequence[Json]],
    *,
    model: str = "m",
    request: str = "What is in the file?",
    **place: Any,
) -> tuple[list[Turn], Models]:
    """Play turns of one session; each is the replies of the model."""
    options = {"temperature": 0.2, "max_tokens": 500, **place}
    models = Models(model=model, endpoint=Endpoint(**{"proxy_url": provider.url, **options}), max_retries=0)
    graph = build_graph(InMemorySaver())
    environment = {"os": "linux", "shell": "bash", "workspace_root": "/workspace"}
    context = Context(
        models=models, facts=Facts(environment=Environment.read(environment)), environment=environment, reprompt=False
    )
    config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
    played = []
    for number, replies in enumerate(turns):
        provider.say(*replies)
        said = HumanMessage(f"Request {number}: {request}", id=f"user_{number}")
        step: Any = {"messages": [said], "agent": "coder", "chosen_by": "user", "turn": {}}
        played.append(await _play(graph, step, config, context))
        assert provider.left == 0 or played[-1].failures, f"{provider.left} replies were not asked for"
    await models.aclose()
    return played, models


async def _play(graph: Any, step: Any, config: Any, context: Context) -> Turn:
    turn = Turn()
    for _ in range(MAX_PAUSES):
        interrupts: list[Any] = []
        modes = ["updates", "custom"]
        async for item in graph.astream(step, config, context=context, stream_mode=modes, version="v2"):
            if item["type"] == "custom":
                _take(cast(Mapping[str, Any], item["data"]), turn)
            elif "__interrupt__" in item["data"]:
                interrupts += item["data"]["__interrupt__"]
        if not interrupts:
            return turn
        turn.asked += [i.value["tool_name"] for i in interrupts if i.value["kind"] == "approval"]
        turn.calls += [i.value["tool_name"] for i in interrupts]
        if interrupts[0].value["kind"] == "question":
            turn.texts.append(interrupts[0].value["question"])
            step = Command(resume={interrupts[0].id: {"content": "1", "message_id": "answer"}})
            continue
        result = {"success": True, "content": "void main() {}"}
        step = Command(resume={i.id: {"decision": "approve", "result": result} for i in interrupts})
    raise AssertionError("the turn paused too often")


def _take(event: Mapping[str, Any], turn: Turn) -> None:
    if event["event"] == "message":
        turn.texts.append(event["content"])
    elif event["event"] == "context_cut":
        turn.cut_to.append(event["metadata"]["prompt_tokens"])
    elif event["event"] == "failed":
        turn.failures.append(event["content"])


async def usable(provider: Provider, conversation: str, **place: Any) -> Models:
    """Play one of `CONVERSATIONS`; every turn of it must be usable, and each request begin as the one before it."""
    with provider:
        played, models = await converse(provider, CONVERSATIONS[conversation], **place)
    seen = [(turn.texts, turn.failures, provider.refusals) for turn in played]
    assert all(turn.is_usable for turn in played), seen
    assert len(played) == 3
    assert not provider.violations
    assert (changed := changed_prefix(provider)) is None, changed
    return models


async def fails_once(provider: Provider, broken: Json, *sentence: str, **place: Any) -> list[Turn]:
    """Play a second turn that the provider refuses; its reason reaches the user, and the session goes on."""
    with provider:
        played, _ = await converse(
            provider, [[READ, {"text": "Fine."}], [broken], [READ, {"text": "Fine again."}]], **place
        )
    assert [turn.is_usable for turn in played] == [True, False, True], [turn.failures for turn in played]
    for words in sentence:
        assert words in played[1].failures[0], played[1].failures[0]
    return played
