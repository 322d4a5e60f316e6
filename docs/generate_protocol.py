"""Writes the generated parts of docs/protocol.md from the code: `uv run python docs/generate_protocol.py`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import errors  # noqa: E402 the path comes first
from api.auth import EXEMPT  # noqa: E402
from api.openapi import CHUNKS  # noqa: E402
from server import create_app  # noqa: E402
from settings import Settings  # noqa: E402
from tools.catalog import TOOLS  # noqa: E402
from wire.origins import ORIGINS  # noqa: E402
from wire.protocol import MESSAGES, Chunk, ErrorCode, MessageRequest  # noqa: E402

PAGE = ROOT / "docs" / "protocol.md"
GOLDEN = ROOT / "tests" / "golden"
PART = re.compile(r"(<!-- generated: ([\w:/ ]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)
SAID_BETTER = {
    "bad_request": ("400, 413, 415", "The request is not well formed, too large, or not JSON."),
    "llm_unavailable": ("chunk", "The language model could not be reached."),
    "approval_expired": ("chunk", "Nobody decided in time."),
    "tool_denied": ("chunk", "The agent repeated a call that is not allowed."),
    "file_denied": ("chunk", "The agent repeated a call on a path that is not allowed."),
    "cancelled": ("chunk", "Someone cancelled the run."),
    "not_found": ("404", "There is no such path."),
    "rule_unknown": ("404", "No such rule in this session."),
    "limit_reached": ("chunk, 400", "A limit of the runtime was reached; `metadata.limit` names it."),
    "decision_invalid": ("chunk, 400", "The edited arguments are not acceptable; the approval stays pending."),
    "internal": ("chunk, 500", "Our fault; `metadata.error_id` is in the log."),
}


def fields() -> str:
    """The fields that every chunk has."""
    rows = ["| field | type | unused |", "|---|---|---|"]
    for name, told in Chunk.model_json_schema(mode="serialization")["properties"].items():
        kind = told.get("type") or " or ".join(option["type"] for option in told["anyOf"])
        unused = "–" if name == "type" else "`false`" if kind == "boolean" else "`null`"
        rows.append(f"| `{name}` | {kind} | {unused} |")
    return "\n".join(rows)


def chunk(kind: str) -> str:
    """What a chunk is and one as it travels."""
    model = next(model for model in CHUNKS if model.model_fields["type"].default == kind)
    return f"{(model.__doc__ or '').strip()}\n\n{_golden(f'chunk_{kind}')}"


def message(kind: str) -> str:
    """What a message is, its fields, and one as it travels."""
    model = MESSAGES[kind]
    rows = ["| field | type | required |", "|---|---|---|"]
    for name, told in model.model_json_schema()["properties"].items():
        options = [_type(option) for option in told.get("anyOf", [told])]
        wanted = "yes" if name in model.required else ""
        rows.append(f"| `{name}` | {' or '.join(option for option in options if option != 'null')} | {wanted} |")
    return f"{(model.__doc__ or '').strip()}\n\n" + "\n".join(rows) + f"\n\n{_golden(f'message_{kind}')}"


def request() -> str:
    """The fields beside the message."""
    rows = ["| field | meaning |", "|---|---|"]
    for name, field in MessageRequest.model_fields.items():
        rows.append(f"| `{name}` | {field.description or 'one of the messages below'} |")
    return "\n".join(rows)


def codes() -> str:
    """Every code, where it is found and what it says."""
    raised = {error.code: error for error in reversed(_tree(errors.AgentRuntimeError)) if "code" in vars(error)}
    rows = ["| code | where | origin | retryable | meaning |", "|---|---|---|---|---|"]
    for code in get_args(ErrorCode):
        error = raised.get(code)
        if code in SAID_BETTER:
            where, meaning = SAID_BETTER[code]
        else:
            assert error is not None, f"no error has the code {code}"
            where = "chunk" if code.startswith("llm_") else str(error.status)
            meaning = (error.__doc__ or "").strip().splitlines()[0]
        is_retryable = code == "internal" or (error is not None and error.retryable)
        rows.append(f"| `{code}` | {where} | {ORIGINS[code]} | {'yes' if is_retryable else ''} | {meaning} |")
    return "\n".join(rows)


def endpoints() -> str:
    """Every endpoint with what it takes and the codes of its answers."""
    document = create_app(Settings.load(internal_api_key="documentation")).openapi()
    rows = ["| endpoint | what it does | query | answers |", "|---|---|---|---|"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found = operation.get("parameters", [])
            query = ", ".join(f"`{p['name']}`" for p in found if p["in"] == "query")
            answers = " ".join(sorted(operation["responses"]))
            text = operation.get("description", "").strip().splitlines()[0]
            free = " (no key)" if path in EXEMPT else ""
            rows.append(f"| `{method.upper()} {path.replace(':path', '')}`{free} | {text} | {query} | {answers} |")
    return "\n".join(rows)


def body(name: str) -> str:
    """An example of a request body, as OpenAPI shows it."""
    document = create_app(Settings.load(internal_api_key="documentation")).openapi()
    return _fenced(document["components"]["schemas"][name]["examples"][0])


def tools() -> str:
    """The tools that a client carries out, with their arguments."""
    rows = ["| tool | argument | type | required |", "|---|---|---|---|"]
    for tool in (tool for tool in TOOLS if tool.runs == "client"):
        for name, told in tool.parameters["properties"].items():
            limits = [f"{word} {told[word]}" for word in ("minimum", "maximum", "default") if word in told]
            kind = ", ".join([str(told.get("type", "any JSON")), *(limit.lower() for limit in limits)])
            wanted = "yes" if name in tool.parameters.get("required", ()) else ""
            rows.append(f"| `{tool.name}` | `{name}` | {kind} | {wanted} |")
    return "\n".join(rows)


PARTS: dict[str, Callable[..., str]] = {
    "fields": fields,
    "request": request,
    "codes": codes,
    "endpoints": endpoints,
    "chunk": chunk,
    "message": message,
    "body": body,
    "tools": tools,
}


def generated(page: str) -> str:
    """The page with its generated parts as the code has them now."""

    def part(match: re.Match[str]) -> str:
        name, _, argument = match[2].partition(":")
        return match[1] + PARTS[name](*([argument] if argument else [])) + match[3]

    return PART.sub(part, page)


def _golden(name: str) -> str:
    return _fenced(json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8")))


def _fenced(value: Any) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=True)}\n```"


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        return "object"
    return str(schema.get("type", "any JSON"))


def _tree(error: type[errors.AgentRuntimeError]) -> list[type[errors.AgentRuntimeError]]:
    return [error, *(found for child in error.__subclasses__() for found in _tree(child))]


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
