"""The rules that a project sets for itself: `.agent-runtime/rules.toml`, which can restrict calls and permit none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client.workspace.folder import OWN_FOLDER, Refusal, Workspace, reason_of
from errors import ConfigurationError
from policy.rule_file import WrittenRule
from policy.rules import read_restrictions
from policy.verdicts.facts import MAX_PROJECT_RULES
from tools.catalog import TOOLS

FILE_NAME = f"{OWN_FOLDER}/rules.toml"
MAX_BYTES = 65_536


@dataclass(frozen=True)
class ProjectRules:
    """The project's rules as the server takes them in `environment.rules` (docs/protocol.md, `user_message`)."""

    declared: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences for the person about what of the file does not count."""

    @classmethod
    def read(cls, workspace: Workspace) -> ProjectRules:
        """Read the file; one that cannot be used leaves a note, and every call of the client's tools asks."""
        try:
            restricting, permitting = _rules_of(workspace)
        except ConfigurationError as error:
            return cls(_ask_always(), (f"{error.message.rstrip('.')}. Until it is mended every tool call asks.",))
        notes = tuple(
            f"{FILE_NAME}: rule '{identity}' permits something and does not count: a project may only ask or deny."
            for identity in permitting
        )
        declared = tuple(rule.model_dump(exclude={"match", "not_match"}, exclude_none=True) for rule in restricting)
        return cls(declared, notes)


def _rules_of(workspace: Workspace) -> tuple[list[WrittenRule], list[str]]:
    """The rules that restrict, and the ids of those that permit; the server would leave out what is too many."""
    text = _text_of(workspace)
    restricting, permitting = read_restrictions(FILE_NAME, text) if text is not None else ([], [])
    if len(restricting) > MAX_PROJECT_RULES:
        raise ConfigurationError(f"{FILE_NAME} has more than {MAX_PROJECT_RULES} rules")
    return restricting, permitting


def _text_of(workspace: Workspace) -> str | None:
    """The text of the file, None where there is none; links are not followed."""
    try:
        with os.fdopen(workspace.open_file(workspace.own_file("rules.toml")), "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except Refusal as refusal:
        raise ConfigurationError(
            f"{FILE_NAME} is not a regular file of the workspace, reached without links"
        ) from refusal
    except OSError as error:
        raise ConfigurationError(f"{FILE_NAME} cannot be read: {reason_of(error)}") from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{FILE_NAME} has more than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{FILE_NAME} is not UTF-8 text") from error


def _ask_always() -> tuple[Mapping[str, Any], ...]:
    """Rules under which every call asks: what the file would have restricted is not known."""
    why = f"The project's rules in {FILE_NAME} cannot be used."
    names = [tool.name for tool in TOOLS if tool.runs == "client"]
    return tuple({"id": f"unread.{name}", "tool": name, "decision": "ask", "why": why} for name in names)
