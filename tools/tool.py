"""The definition of a tool: the schema that a model sees, and what the tool accesses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from errors import ConfigurationError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Access = Literal["none", "read", "write"]
PathKind = Literal["file", "directory"]
Reach = Literal["names", "content"]
"""What a glob selects: names to list, or files to read."""
Effect = Literal["complete", "question", "plan", "switch"]

_FILE = re.compile(r"(?:path|file|filename|filepath|source|src|destination|dest|dst|target|location)s?|from|to")
_FOLDER = re.compile(r"(?:dir|folder|root)s?|directory|directories|cwd")
_GLOB = re.compile(r"(?:glob|pattern)s?")
_COMMAND_NAMES = ("command", "cmd", "shell_command", "script")


@dataclass(frozen=True)
class PathArgument:
    """One path in the arguments of a call; `value` is what the model wrote, whatever its type."""

    name: str
    kind: PathKind
    value: object


@dataclass(frozen=True)
class Tool:
    """One tool (docs/protocol.md, Tools): the one definition that all other packages use.

    Unstated fields default to the strictest case: it writes, it asks, and its arguments that are named like paths,
    globs and commands are judged as such. Raises ConfigurationError for statements that contradict each other.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The exact JSON schema of its arguments."""
    runs: Literal["local", "client", "virtual"] = "client"
    """local = in the runtime, client = in the IDE or the terminal client, virtual = it changes the turn itself."""
    access: Access = "write"
    """What it does to the workspace; `write` asks by default."""
    paths: Mapping[str, PathKind] | None = None
    """The arguments that name a file or a folder; for a command, the folder in which it runs."""
    globs: Mapping[str, Reach] = field(default_factory=dict)
    """The arguments that are globs of file names; where `paths` is not stated, also those with such a name."""
    command: str | None = None
    """The argument that is a shell command; what the policy proves to be read-only runs without asking."""
    text: str | None = None
    """The argument that becomes the whole text of the file, which a person sees as a diff and may edit."""
    refetch: str | None = None
    """How a model reads the truncated part of a result; None = the call must not be repeated for it."""
    declared: bool = False
    """Whether it is offered only where the client declares it in `environment.tools`."""
    made_of: tuple[str, ...] = ()
    """For a declared tool: the tools by which the runtime carries it out for a client that does not declare it."""
    judged_as: str | None = None
    """Another tool whose rules and grants also apply to this one."""
    ask_reason: str = "This tool requires user approval"
    execute: Callable[[Mapping[str, Any]], str] | None = None
    """What a local tool does; raises ValueError with a sentence for the model."""
    effect: Effect | None = None
    """The effect of a virtual tool on the turn."""
    agent_argument: str | None = None
    """The argument that names an agent; its choices are filled in from the roster when the tool is offered."""

    def __post_init__(self) -> None:
        problem = self._contradiction()
        if problem:
            raise ConfigurationError(f"The tool '{self.name}' {problem}.")

    def _contradiction(self) -> str | None:
        if (self.runs == "local") != (self.execute is not None):
            return "must have `execute` exactly when it runs locally"
        if (self.runs == "virtual") != (self.effect is not None):
            return "must have an `effect` exactly when it is virtual"
        if self.runs != "client" and self.access != "none":
            return "does not run in the client, so its access must be none"
        stated = [*(self.paths or ()), *self.globs, self.command, self.text]
        missing = [name for name in stated if name is not None and name not in self.parameters.get("properties", {})]
        return f"has no argument '{missing[0]}'" if missing else None

    @property
    def default(self) -> Literal["allow", "ask"]:
        """The policy's decision when no rule matches."""
        return "ask" if self.access == "write" else "allow"

    @property
    def changes_files(self) -> bool:
        """Whether it writes files itself; a command is judged by its words."""
        return self.access == "write" and self.command is None

    @property
    def command_argument(self) -> str | None:
        """The argument with a command, stated or recognised by its name."""
        if self.command is not None or self.access != "write":
            return self.command
        return next((name for name in _COMMAND_NAMES if name in self.parameters.get("properties", {})), None)

    @property
    def names_in_rules(self) -> tuple[str, ...]:
        """The tool names whose rules and grants apply to it."""
        return (self.name,) if self.judged_as is None else (self.name, self.judged_as)

    def path_arguments(self, arguments: Mapping[str, Any]) -> list[PathArgument]:
        """List the paths of a call: its stated arguments, else all that are named like paths, at any depth."""
        if self.access == "none":
            return []
        properties, required = self.parameters.get("properties", {}), self.parameters.get("required", ())
        if self.paths is None:
            kinds = {name: kind for name in properties if (kind := _path_kind(name)) is not None}
            written = list(_leaves(arguments))
        else:
            kinds = dict(self.paths)
            written = [(name, value) for name in kinds if (value := arguments.get(name)) is not None]
        given = {name for name, _ in written}
        written += [
            (name, properties[name].get("default"))
            for name in kinds
            if name not in given and (name in required or "default" in properties[name])
        ]
        found = ((name, kinds.get(name) or _path_kind(name), value) for name, value in written)
        return [PathArgument(name, kind, value) for name, kind, value in found if kind is not None]

    def glob_arguments(self, arguments: Mapping[str, Any]) -> list[tuple[str, Reach]]:
        """List the globs of a call with what each selects; unstated ones count as reading what they match."""
        if self.access == "none":
            return []
        if self.paths is None:
            named: list[tuple[object, Reach]] = [(v, "content") for n, v in _leaves(arguments) if _is_glob(n)]
        else:
            named = [(arguments.get(name), reach) for name, reach in self.globs.items()]
        return [(value, reach) for value, reach in named if isinstance(value, str)]

    @cached_property
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
    def declaration_text(self) -> str:
        """The declaration as JSON with sorted keys."""
        return json.dumps(self.declaration, sort_keys=True)

    def naming_agents(self, names: Sequence[str]) -> Tool:
        """Return the tool with `names` as the choices of its agent argument; a tool without one stays as it is."""
        if self.agent_argument is None:
            return self
        return replace(self, parameters=_with_choices(self.parameters, self.agent_argument, names))

    @cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema import Draft202012Validator  # with what it imports a twentieth of a start

        return Draft202012Validator(self.parameters)

    def misfit(self, arguments: Mapping[str, Any]) -> str | None:
        """Return one sentence why `arguments` violate the schema, or None when they are valid."""
        errors = sorted(self._validator.iter_errors(dict(arguments)), key=lambda error: [str(p) for p in error.path])
        if not errors:
            return None
        where = ".".join(str(part) for part in errors[0].path)
        return f"{where}: {errors[0].message}" if where else errors[0].message


def arguments_schema(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    """Build the closed object schema that every tool uses."""
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _words(name: str) -> list[str]:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_").rstrip("0123456789_").split("_")


def _path_kind(name: str) -> PathKind | None:
    """Recognise a path, glob or command argument by the last word of its name: `old_path`, `targetDir`, `file_name`."""
    words = _words(name)
    last = words[-2] if len(words) > 1 and words[-1] in ("name", "names") else words[-1]
    if _FOLDER.fullmatch(last):
        return "directory"
    return "file" if _FILE.fullmatch(last) else None


def _is_glob(name: str) -> bool:
    return _GLOB.fullmatch(_words(name)[-1]) is not None


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield every plain value with its name, at any depth; the keys of an object that is named like a path too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if _path_kind(name) is not None:
                yield name, key
            yield from _leaves(inner, str(key))
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _leaves(member, name)
    else:
        yield name, value


def _with_choices(schema: Any, argument: str, names: Sequence[str]) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    filled = {key: _with_choices(inner, argument, names) for key, inner in schema.items()}
    properties = filled.get("properties")
    if isinstance(properties, dict) and argument in properties:
        properties[argument] = {**properties[argument], "enum": list(names)}
    return filled
