"""What of a request a server does not take: named by its refusal, or guessed, changed, and remembered per model."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from llm.failure import Failure
from llm.request.messages import as_text, one_call_each, with_short_ids, without_system

Json = dict[str, Any]

BESIDE = "beside:"
"""Begins the name of a change that leaves a provider's extra out, such as `beside:reasoning_content`."""
_ANY_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}
_KNOWN_OF_MESSAGE = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_KNOWN_OF_CALL = frozenset({"id", "type", "function"})
_FORM_UNLIKELY = re.compile(
    r"model.{0,60}(not exist|not found|unknown|no access)|polic(y|ies)|safety|moderation|billing|credit|quota"
    r"|api key|permission|not allowed to|account"
)
_SYSTEM = r"system[ _-]?(role|message|prompt|instruction)|role.{0,40}\bsystem|['\"`]system|developer|s\[0\]\.role"
_SYSTEM += r"|(first|initial) (message|role|turn).{0,40}\buser|only user (and|or) assistant"
_CONTENT = r"content.{0,90}(nil|null|none\b|valid string|a string|required|missing)"
_CONTENT += r"|(nil|null|none\b|valid string|missing field).{0,60}content"


@dataclass(frozen=True)
class Change:
    """One way to write a request otherwise."""

    name: str
    signs: re.Pattern[str]
    """How a refusal that asks for it reads, in lower case."""
    is_due: Callable[[Json], bool]
    """Whether it changes anything in a request."""
    apply: Callable[[Json], None]
    likely: int = 0
    """The order in which it is guessed when a refusal names nothing; 0 = never."""


def _has(field: str) -> Callable[[Json], bool]:
    return lambda payload: field in payload


def _optional(field: str, signs: str, likely: int = 0) -> Change:
    """The change that leaves one optional field out."""
    return Change(f"no_{field}", _signs(signs), _has(field), lambda payload: payload.pop(field, None), likely)


def _calls(payload: Json) -> list[Json]:
    return [call for message in payload["messages"] for call in message.get("tool_calls") or []]


def _has_calls(payload: Json) -> bool:
    return bool(_calls(payload))


def _without_stream(payload: Json) -> None:
    payload["stream"] = False
    payload.pop("stream_options", None)


def _rename_max_tokens(payload: Json) -> None:
    payload["max_completion_tokens"] = payload.pop("max_tokens")


def _fill_content(payload: Json) -> None:
    for message in payload["messages"]:
        message["content"] = message.get("content") or ""


def _content_in_parts(payload: Json) -> None:
    for message in payload["messages"]:
        if isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]


def _drop_text_of_calls(payload: Json) -> None:
    for message in payload["messages"]:
        if message.get("tool_calls"):
            message["content"] = ""


def _fill_reasoning(payload: Json) -> None:
    for message in payload["messages"]:
        if message["role"] == "assistant":
            message.setdefault("reasoning_content", "")


def _fill_signatures(payload: Json) -> None:
    for call in _calls(payload):
        call.setdefault("extra_content", _ANY_SIGNATURE)


def _roles_to_system(payload: Json) -> None:
    for message in payload["messages"]:
        if message["role"] == "developer":
            message["role"] = "system"


def _plain_schemas(payload: Json) -> None:
    payload["tools"] = _without_keys(payload["tools"], {"additionalProperties", "default"})


def _without_keys(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {k: _without_keys(v, keys) for k, v in value.items() if k not in keys or isinstance(v, dict)}
    return [_without_keys(item, keys) for item in value] if isinstance(value, list) else value


def _has_role(*roles: str) -> Callable[[Json], bool]:
    return lambda payload: any(message["role"] in roles for message in payload["messages"])


def _has_null_content(payload: Json) -> bool:
    return any(not message.get("content") and message.get("content") != "" for message in payload["messages"])


def _has_text_of_calls(payload: Json) -> bool:
    return any(message.get("tool_calls") and message.get("content") for message in payload["messages"])


def _lacks(key: str, parts: Callable[[Json], list[Json]]) -> Callable[[Json], bool]:
    return lambda payload: any(key not in part for part in parts(payload))


def _assistants(payload: Json) -> list[Json]:
    return [message for message in payload["messages"] if message["role"] == "assistant"]


def _has_tools(payload: Json) -> bool:
    return "tools" in payload or _has_calls(payload)


def _several_calls(payload: Json) -> bool:
    return any(len(message.get("tool_calls") or []) > 1 for message in payload["messages"])


def _signs(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


CHANGES: tuple[Change, ...] = (
    Change("short_ids", _signs(r"length of 9|tool call id (was|must)"), _has_calls, with_short_ids),
    Change("any_signature", _signs(r"thought_signature"), _lacks("extra_content", _calls), _fill_signatures),
    Change(
        "empty_reasoning",
        _signs(r"(missing|must|require).{0,60}reasoning_content|reasoning_content.{0,60}(missing|must be|require)"),
        _lacks("reasoning_content", _assistants),
        _fill_reasoning,
    ),
    Change("one_call_each", _signs(r"single tool[- ]calls?|one tool call (at|per)"), _several_calls, one_call_each),
    Change("calls_without_text", _signs(r"either content or tool_calls"), _has_text_of_calls, _drop_text_of_calls),
    Change(
        "content_parts",
        _signs(r"content.{0,60}(valid list|must be an? (array|list)|a list of|sequence)"),
        lambda payload: any(isinstance(message.get("content"), str) for message in payload["messages"]),
        _content_in_parts,
    ),
    Change(
        "empty_content",
        _signs(_CONTENT),
        _has_null_content,
        _fill_content,
        likely=6,
    ),
    Change(
        "plain_schemas",
        _signs(r"additional_?properties|unknown name .{0,3}default|\.default\b"),
        _has("tools"),
        _plain_schemas,
    ),
    _optional("stream_options", r"stream_options|include_usage", 4),
    _optional("parallel_tool_calls", r"parallel", 3),
    _optional("response_format", r"response_format|json_schema|json mode|structured output|response mime", 1),
    _optional("temperature", r"temperature", 7),
    Change("max_completion_tokens", _signs(r"max_(completion_)?tokens"), _has("max_tokens"), _rename_max_tokens, 5),
    _optional("max_completion_tokens", r"max_(completion_|output_)?tokens", 8),
    _optional("tool_choice", r"tool[_ ]choice", 2),
    Change(
        "no_stream", _signs(r"\bstream(ing|ed)?\b"), lambda payload: bool(payload.get("stream")), _without_stream, 10
    ),
    Change("system_role", _signs(r"developer"), _has_role("developer"), _roles_to_system),
    Change("no_system", _signs(_SYSTEM), _has_role("system", "developer"), without_system, 9),
    Change(
        "no_tools",
        _signs(r"\btools?\b|tool_|function|roles? must|only user|unexpected role|unknown role"),
        _has_tools,
        as_text,
    ),
)
"""In the order in which they are sought in a refusal; `no_tools` last, because it costs most."""
_BY_NAME = {change.name: change for change in CHANGES}
_GUESSES = sorted((change for change in CHANGES if change.likely), key=lambda change: change.likely)


def changed(payload: Json, names: Collection[str]) -> Json:
    """Apply changes to a copy of a request."""
    payload = copy.deepcopy(payload)
    for name in names:
        if name.startswith(BESIDE):
            _leave_out(payload, name.removeprefix(BESIDE))
    for change in sorted(CHANGES, key=lambda change: change.name != "no_tools"):  # it brings a system message
        if change.name in names and change.is_due(payload):
            change.apply(payload)
    return payload


def named_change(refusal: str, sent: Json, done: Collection[str]) -> str | None:
    """Find what a refusal names that `sent` holds and that was not changed yet."""
    said = refusal.lower()
    beside = next((key for key in _extras(sent) if key.lower() in said and BESIDE + key not in done), None)
    for change in CHANGES:
        if change.name not in done and change.signs.search(said) and change.is_due(sent):
            if beside is not None and change.name in ("no_system", "no_tools"):
                break
            return change.name
    return None if beside is None else BESIDE + beside


def guessed_change(refusal: str, sent: Json, done: Collection[str]) -> str | None:
    """Choose the likeliest cause of a refusal that names none; None when the form is not what it is about."""
    if _FORM_UNLIKELY.search(refusal.lower()):
        return None
    guess = next((c.name for c in _GUESSES if c.name not in done and c.is_due(sent)), None)
    beside = next((BESIDE + key for key in _extras(sent) if BESIDE + key not in done), None)
    if guess is None and beside is None and "no_tools" not in done and _has_tools(sent):
        return "no_tools"
    return guess or beside


def _extras(payload: Json) -> list[str]:
    beside = [key for m in payload["messages"] for key in m if key not in _KNOWN_OF_MESSAGE]
    return list(dict.fromkeys(beside + [key for call in _calls(payload) for key in call if key not in _KNOWN_OF_CALL]))


def _leave_out(payload: Json, key: str) -> None:
    for part in [*payload["messages"], *_calls(payload)]:
        part.pop(key, None)


@dataclass
class Negotiation:
    """What is changed in the requests of one call, because of refusals of this or of an earlier one."""

    names: set[str]
    """The changes of the next request; at first what earlier calls have learnt."""
    named: set[str] = field(default_factory=set)
    guessed: list[str] = field(default_factory=list)
    cause: Failure | None = None
    """The refusal that guessing began with; it is what the user is told when no guess helps."""

    @property
    def learnt(self) -> set[str]:
        """What is remembered when the call succeeds: what refusals named, and the guess that helped.

        Where several guesses are needed together, the next calls learn the others. `no_tools` as a guess is the
        caller's to keep: the model would lose its calls for good because of one request.
        """
        return {*self.named, *self.guessed[-1:]} - ({"no_tools"} - self.named)

    def learn(self, failure: Failure) -> str | None:
        """Change the next request after a refusal and name the change; None when there is nothing left to change."""
        if failure.refusal is None or failure.sent is None:
            return None
        named = named_change(failure.refusal, failure.sent, self.names)
        if named is not None:
            self.named.add(named)
            self.names.add(named)
            return named
        is_of_form = failure.error.details.get("status") in (400, 422)
        guess = guessed_change(failure.refusal, failure.sent, self.names) if is_of_form else None
        if guess is not None:
            self.guessed.append(guess)
            self.names.add(guess)
            self.cause = self.cause or failure
        return guess
