"""One trace from the HTTP request over the model calls and the wait for a tool, over two requests and two servers."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from errors import ConfigurationError
from telemetry import tracing
from tests.ide import WRITE, Ide
from tests.openai_stub import OpenAIStub
from tests.running import talking

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "canary-7f3a"


def test_one_trace_follows_a_message_to_its_end(db_url: str, stub: OpenAIStub, spans: InMemorySpanExporter) -> None:
    stub.script([{"tool": "write_file", "args": {**WRITE, "content": SECRET}, "id": "c1"}, {"text": SECRET}])
    with talking(db_url, stub) as client:
        client.headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
        ide = Ide(client, 2, session_id="s")
        ide.say(f"Write {SECRET}")
        del client.headers["traceparent"]
        ide.decide("c1", "approve")
    with talking(db_url, stub) as client:
        Ide(client, 2, session_id="s").result("c1", f"ok {SECRET}")
    traced = [span for span in spans.get_finished_spans() if format(span.context.trace_id, "032x") == TRACE]
    names = sorted(span.name for span in traced)
    assert names == [
        "POST /agent/message/stream",
        "chat scripted",
        "chat scripted",
        "chat scripted",
        "execute_tool write_file",
        "invoke_agent",
        "invoke_agent",
    ]
    by_id = {span.context.span_id: span for span in traced}

    def parent(span: ReadableSpan) -> str | None:
        assert span.parent is not None
        found = by_id.get(span.parent.span_id)
        return found.name if found is not None else None

    assert {(span.name, parent(span)) for span in traced} == {
        ("POST /agent/message/stream", None),
        ("invoke_agent", "POST /agent/message/stream"),
        ("chat scripted", "invoke_agent"),
        ("execute_tool write_file", "POST /agent/message/stream"),
    }
    [wait] = [span for span in traced if span.name.startswith("execute_tool")]
    assert dict(wait.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "write_file",
        "gen_ai.tool.call.id": "c1",
        "codelab.call.state": "done",
    }
    agents = [span.attributes or {} for span in traced if span.name == "chat scripted"]
    assert {told["gen_ai.agent.name"] for told in agents} == {"orchestrator", "coder"}
    assert all(told["gen_ai.operation.name"] == "chat" for told in agents)
    assert all(isinstance(told["gen_ai.usage.input_tokens"], int) for told in agents)
    assert not any(SECRET in span.to_json() for span in spans.get_finished_spans())


def test_a_failed_model_call_is_marked(db_url: str, stub: OpenAIStub, spans: InMemorySpanExporter) -> None:
    stub.script([{"status": 413}])
    with talking(db_url, stub) as client:
        Ide(client, 2, session_id="s").say("hi", agent_type="ask")
    marked = {span.name: (span.attributes or {}).get("error.type") for span in spans.get_finished_spans()}
    assert marked["chat scripted"] == marked["invoke_agent"] == "llm_unavailable"
    assert marked["POST /agent/message/stream"] is None


def test_without_the_extra_the_setting_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)  # not installed
    with pytest.raises(ConfigurationError, match="otel"):
        tracing.otlp_provider("http://127.0.0.1:4318", "1")
