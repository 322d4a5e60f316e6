"""Traces with OpenTelemetry, an optional dependency: without it, or while it is not enabled, nothing is recorded.

A span carries names, ids, counts and outcomes; never text of users, models or tools.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from errors import ConfigurationError

Kind = Literal["internal", "server", "client"]
SERVICE = "codelab-agent-runtime"
_tracer: Any = None
_log = logging.getLogger("server.tracing")


def enable(provider: Any) -> None:
    """Send spans to an `opentelemetry.sdk.trace.TracerProvider`; None switches traces off."""
    global _tracer
    _tracer = provider.get_tracer(SERVICE) if provider is not None else None


def otlp_provider(endpoint: str, version: str) -> Any:
    """Make a provider that exports to an OTLP/HTTP endpoint; raises ConfigurationError without the extra `otel`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            "AGENT_RUNTIME__OTEL_ENDPOINT is set and OpenTelemetry is not installed: install the extra `otel`."
        ) from error
    resource = Resource.create({"service.name": SERVICE, "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return provider


class Span:
    """A span that may not be there."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def name(self, name: str) -> None:
        """Give the span another name."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes; None is left out."""
        if self._span is not None:
            self._span.set_attributes(_known(attributes))

    def fail(self, code: str) -> None:
        """Mark the span as failed with a wire code."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", code)
            self._span.set_status(StatusCode.ERROR)


@contextmanager
def span(
    name: str, attributes: Mapping[str, Any], *, kind: Kind = "internal", traceparent: str | None = None
) -> Iterator[Span]:
    """Open a span below the current one, or below `traceparent` (W3C), and end it with the block."""
    if _tracer is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(
        name,
        context=_remote(traceparent),
        kind=SpanKind[kind.upper()],
        attributes=_known(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        yield Span(opened)


def past(
    name: str, attributes: Mapping[str, Any], began: datetime, ended: datetime, *, traceparent: str | None
) -> None:
    """Record a span of the past below `traceparent`, such as the wait for a tool's result."""
    if _tracer is None:
        return
    start, end = (int(moment.timestamp() * 1e9) for moment in (began, ended))
    found = _tracer.start_span(name, context=_remote(traceparent), start_time=start, attributes=_known(attributes))
    found.end(end_time=end)


def traceparent() -> str | None:
    """Return the current span in the W3C form, to go on from it in another request or process."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def _remote(traceparent: str | None) -> Any:
    if traceparent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
