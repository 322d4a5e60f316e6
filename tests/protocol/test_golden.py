"""One golden file per message and chunk kind: the model, the file and the heading in the docs, or none of them."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.dependencies import read_message
from json_text import storable, to_json
from wire.chunks import frame, pack, unpack
from wire.protocol import MESSAGES, AnyChunk, AssistantMessage, Chunk, PlanDecision

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
CHUNKS: dict[str, type[Chunk]] = {
    str(model.model_fields["type"].default): model for model in get_args(get_args(AnyChunk)[0])
}
DOCS = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
chunks: TypeAdapter[Any] = TypeAdapter(AnyChunk)


def golden(name: str) -> Any:
    path = GOLDEN / f"{name}.json"
    assert path.exists(), f"every kind has a golden file: {path.relative_to(ROOT)} is missing"
    return json.loads(path.read_text(encoding="utf-8"))


def assert_heading(kind: str) -> None:
    assert re.search(rf"^### `{kind}`$", DOCS, re.MULTILINE), f"docs/protocol.md has no heading ### `{kind}`"


@pytest.mark.parametrize("kind", CHUNKS)
def test_chunk(kind: str) -> None:
    raw = golden(f"chunk_{kind}")
    assert_heading(kind)
    read = chunks.validate_python(raw)
    assert type(read) is CHUNKS[kind]
    dumped = read.model_dump()
    assert dumped == raw
    assert list(dumped) == list(raw) == list(Chunk.model_fields), "every chunk has all fields in order"
    packed = pack(read)
    assert unpack(json.loads(packed)) == raw, "what the log keeps is the whole chunk"
    line = frame(packed, 2)
    assert line == to_json(raw), "a reader gets every field in order, on one line"
    assert frame(to_json(json.loads(packed)), 2) == line, "rows of version 0.3.0 are on one line"
    assert line.splitlines() == [line]


@pytest.mark.parametrize("text", ['a,\n"b":1', "a\u2028b\u0085c", "\ud800", '"},\n"type":"done"', "\x00\r\n,\n"])
def test_hostile_text_stays_inside_its_field(text: str) -> None:
    shown = frame(pack(AssistantMessage(content=text, is_final=True, metadata={text: [text, {text: text}]})), 2)
    assert shown is not None
    assert shown.splitlines() == [shown]
    told = storable(text)
    assert json.loads(shown)["content"] == told
    assert json.loads(shown)["metadata"] == {told: [told, {told: told}]}


@pytest.mark.parametrize("kind", MESSAGES)
def test_message(kind: str) -> None:
    raw = golden(f"message_{kind}")
    assert_heading(kind)
    read = read_message(raw)
    assert read.model_dump(exclude_unset=True) == raw
    assert set(raw) == set(MESSAGES[kind].model_fields) - {"error"}, "the golden message shows every field"
    read_message(MESSAGES[kind].example)


def test_no_file_and_no_heading_without_its_model() -> None:
    kinds = {f"chunk_{kind}" for kind in CHUNKS} | {f"message_{kind}" for kind in MESSAGES}
    assert {path.stem for path in GOLDEN.iterdir()} == kinds
    headings = set(re.findall(r"^### `(\w+)`$", DOCS, re.MULTILINE))
    assert headings == set(CHUNKS) | set(MESSAGES)


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_chunk_has_no_other_fields(kind: str) -> None:
    with pytest.raises(ValidationError):
        chunks.validate_python({**golden(f"chunk_{kind}"), "surprise": 1})


@pytest.mark.parametrize("model", MESSAGES.values())
def test_a_message_may_have_other_fields(model: type[BaseModel]) -> None:
    kind = str(model.model_fields["type"].default)
    assert model.model_validate({**golden(f"message_{kind}"), "role": "user", "surprise": 1}).model_fields_set


def shown_to_version_1(raw: dict[str, Any]) -> Any:
    text = frame(pack(chunks.validate_python(raw)), 1)
    return None if text is None else json.loads(text)


def test_what_version_1_is_shown() -> None:
    shown = {kind: shown_to_version_1(golden(f"chunk_{kind}")) for kind in CHUNKS}
    assert shown["done"] is None
    assert shown["tool_call"] == {**golden("chunk_tool_call"), "metadata": None}
    for kind in set(CHUNKS) - {"done", "tool_call"}:
        assert shown[kind] == golden(f"chunk_{kind}")
    message = golden("chunk_assistant_message")
    assert shown_to_version_1({**message, "is_final": False, "content": None}) is None
    assert shown_to_version_1({**message, "metadata": {"before_tool_call": True}}) is None
    final = shown_to_version_1({**message, "token": None})
    assert final["token"] == final["content"] == message["content"]
    for status in ("denied", "retrying", "restarted", "resync"):
        assert shown_to_version_1({**golden("chunk_status"), "metadata": {"status": status}}) is None


def test_the_generated_parts_of_the_page_are_true() -> None:
    found = runpy.run_path(str(ROOT / "docs" / "generate_protocol.py"))
    message = "docs/protocol.md has drifted: run uv run python docs/generate_protocol.py"
    assert found["generated"](DOCS) == DOCS, message


@pytest.mark.parametrize("feedback", [{}, {"feedback": None}])
def test_a_modification_request_is_read_as_feedback(feedback: dict[str, Any]) -> None:
    raw = {"type": "plan_decision", "approval_request_id": "plan-approval-1", "decision": "modify", **feedback}
    read = PlanDecision.model_validate({**raw, "modification_request": "Use a dialog"})
    assert read.feedback == "Use a dialog"
    given = PlanDecision.model_validate({**raw, "feedback": "Shorter", "modification_request": "Use a dialog"})
    assert given.feedback == "Shorter"
