"""What a tool is: the schema that a model sees, where it runs, and what the policy says by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jsonschema import Draft202012Validator


@dataclass(frozen=True)
class Tool:
    """One tool (protocol section 7): `parameters` is the exact JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    runs: Literal["local", "ide", "virtual"]
    """local = in the runtime, ide = in the client, virtual = it changes the turn itself."""
    default: Literal["allow", "ask"] = "ask"
    """The policy's last word when no rule speaks; a tool that states none asks."""
    ask_reason: str = "This tool requires user approval"
    execute: Callable[[Mapping[str, Any]], str] | None = None
    """What a local tool does; raises ValueError with a sentence for the model."""

    @property
    def declaration(self) -> dict[str, Any]:
        """The tool in the form of OpenAI's `tools` parameter."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.parameters)

    def misfit(self, arguments: Mapping[str, Any]) -> str | None:
        """Say in one sentence why `arguments` break the schema, or None when they fit."""
        errors = sorted(self._validator.iter_errors(dict(arguments)), key=lambda error: [str(p) for p in error.path])
        if not errors:
            return None
        where = ".".join(str(part) for part in errors[0].path)
        return f"{where}: {errors[0].message}" if where else errors[0].message


def arguments_schema(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    """Build the closed object schema that every tool uses."""
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}
