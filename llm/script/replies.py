"""The next reply of the scripted model: a reply of a `#script`, a classification, or the next step of the work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage, SystemMessage

from errors import ModelBadReply, ModelError, ModelTimeout, ModelUnavailable
from llm.script.history import Outcome, Turn, read_turn
from llm.script.phrases import Phrases
from llm.script.request import NotUnderstood, read_request, route
from llm.script.work import Call, Worker

_DIRECTIVE = "#script"
_FAILURES: Mapping[str, type[ModelError]] = {
    error.code: error for error in (ModelUnavailable, ModelTimeout, ModelBadReply)
}


class ScriptedCall(NamedTuple):
    """A tool call of the scripted model; `raw` are its arguments as text."""

    id: str
    name: str
    raw: str


@dataclass(frozen=True)
class ScriptedReply:
    """One reply of the scripted model."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    finish: str | None = None
    sleep_s: float = 0.0
    word_delay_s: float = 0.0
    word_every_s: float = 0.0
    fail: Exception | None = None


def reply_to(messages: Sequence[BaseMessage], tool_names: Collection[str]) -> ScriptedReply:
    """Decide the next reply from the conversation and the offered tools alone."""
    turn = read_turn(messages)
    script = _script(turn.request)
    if script is not None:
        return _play(script, turn.replies, len(messages))
    instructions = "\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage))
    if not tool_names and '"is_atomic"' in instructions:
        return ScriptedReply(text=_classification(turn.request))
    step = _next_step(turn, tool_names)
    if isinstance(step, Call):
        raw = json.dumps(step.arguments, ensure_ascii=False)
        return ScriptedReply(calls=(ScriptedCall(_call_id(len(messages), 0, step.tool, raw), step.tool, raw),))
    return ScriptedReply(text=step)


def _script(request: str) -> list[Any] | None:
    """Find the JSON list after a `#script` line; a malformed one gives one reply that says so."""
    lines = request.splitlines()
    at = next((index for index, line in enumerate(lines) if line.strip().startswith(_DIRECTIVE)), None)
    if at is None:
        return None
    text = "\n".join([lines[at].strip().removeprefix(_DIRECTIVE), *lines[at + 1 :]]).strip()
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except ValueError as error:
        return [{"text": f"This #script is not a JSON list: {error}."}]
    if not isinstance(value, list) or not all(isinstance(reply, dict) for reply in value):
        return [{"text": "This #script is not a JSON list of objects."}]
    return value


def _play(script: list[Any], played: int, position: int) -> ScriptedReply:
    if played >= len(script):
        return ScriptedReply(text="The script has no more replies.")
    reply = script[played]
    calls = []
    for index, call in enumerate(reply.get("tools") or ([reply] if "tool" in reply else [])):
        arguments = call.get("args", {})
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        name = str(call.get("tool", ""))
        calls.append(ScriptedCall(str(call.get("id", _call_id(position, index, name, raw))), name, raw))
    failure = _FAILURES.get(str(reply.get("fail")))
    return ScriptedReply(
        text=str(reply.get("text", "")) + str(reply.get("repeat", "")) * int(reply.get("times", 1)),
        calls=tuple(calls),
        finish=reply.get("finish"),
        sleep_s=float(reply.get("sleep", 0)),
        word_delay_s=float(reply.get("delay", 0)),
        word_every_s=float(reply.get("every", 0)),
        fail=failure() if failure is not None else None,
    )


def _classification(text: str) -> str:
    """Answer the classifier's question (docs/routing.md) with the words of `routing/`."""
    agent, is_plan = route(text.rpartition("The request to classify:")[2].strip())
    answer = {"is_atomic": not is_plan, "agent": agent, "confidence": "medium", "reason": "Chosen by keywords."}
    return json.dumps(answer)


def _next_step(turn: Turn, tool_names: Collection[str]) -> Call | str:
    """Return the next call of the turn or, when all is done, the answer.

    The model keeps no state: for every reply the work of the turn is repeated with the outcomes that the
    conversation holds; the first call without an outcome is the next reply.
    """
    worker = Worker(tool_names, Phrases.of(turn.request))
    try:
        steps = read_request(turn.request)
    except NotUnderstood as clause:
        return worker.say.abilities(str(clause))
    outcomes: list[Outcome] = []
    for outcome in turn.outcomes:
        if outcome.tool == "switch_mode" and outcome.worked:
            worker.switched_to.add(str(outcome.arguments.get("mode")))
            outcomes = [earlier for earlier in outcomes if not earlier.refusal]  # the new agent may
        else:
            outcomes.append(outcome)
    work = worker.do_all(steps)
    try:
        call = next(work)
        while (at := _find(outcomes, call)) is not None:
            outcome = outcomes[at]
            del outcomes[: at + 1]
            call = work.send(outcome)
    except StopIteration as stop:
        return str(stop.value)
    return call


def _find(outcomes: list[Outcome], call: Call) -> int | None:
    """Find a call among the outcomes, whose texts are stored without U+0000."""
    wanted = json.loads(json.dumps(call.arguments).replace("\\u0000", "\\ufffd"))
    return next((n for n, o in enumerate(outcomes) if o.tool == call.tool and o.arguments == wanted), None)


def _call_id(position: int, index: int, name: str, raw: str) -> str:
    """Make an id that depends only on the position in the conversation and the call."""
    seed = f"{position}/{index}/{name}/{raw}"
    return f"call_{hashlib.sha256(seed.encode('utf-8', 'replace')).hexdigest()[:16]}"
