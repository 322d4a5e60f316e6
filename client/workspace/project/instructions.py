"""The project's own instructions: `AGENTS.md` of the workspace and of the folders on the way to files in use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from client.workspace.folder import Located, Refusal, Workspace, reason_of
from client.workspace.judgement import judge_target
from client.workspace.request import ToolRequest
from policy.decide import Environment
from wire.environment import MAX_INSTRUCTION_BYTES

FILE_NAME = "AGENTS.md"
MAX_FOLDERS = 100


def _ignore_note(sentence: str) -> None:
    """The default receiver of notes: drops them."""


class ProjectInstructions:
    """Reads the files again for each message: what was edited meanwhile counts, and the folders of files in use too."""

    def __init__(self, workspace: Workspace, warn: Callable[[str], None] = _ignore_note) -> None:
        self._workspace = workspace
        self._warn = warn
        self._folders: dict[str, None] = {".": None}
        self._warned: set[str] = set()

    def note_use(self, located: Located) -> None:
        """Remember the folders on the way to a file that a call named."""
        for folder in PurePosixPath(located.name).parents:
            if len(self._folders) < MAX_FOLDERS:
                self._folders[folder.as_posix()] = None

    def read(self, declared: Mapping[str, Any]) -> list[dict[str, str]]:
        """Give {"path", "text"} per file, the outermost first, together within the protocol's limit.

        `declared` is the rest of the environment: a link counts only where a read of what it names needs no person.
        """
        environment = Environment.read(declared)
        files: list[dict[str, str]] = []
        left = MAX_INSTRUCTION_BYTES
        for folder in sorted(self._folders, key=lambda name: (len(PurePosixPath(name).parts), name)):
            path = (PurePosixPath(folder) / FILE_NAME).as_posix()
            name_bytes = len(path.encode("utf-8", "surrogateescape"))
            if left <= name_bytes:
                continue
            left -= name_bytes
            try:
                content = self._content(path, environment, left)
            except (Refusal, OSError) as error:
                reason = reason_of(error) if isinstance(error, OSError) else str(error).rstrip(".")
                self._say(f"{path} is not sent to the agents: {reason}.")
                continue
            if content is None:
                continue
            if len(content) > left:
                self._say(f"{path} is cut: instructions have at most {MAX_INSTRUCTION_BYTES} bytes together.")
                content = content[:left]
            # What a cut leaves of a character is dropped; the replacement character would be longer.
            text = content.decode("utf-8", "ignore")
            left -= len(text.encode())
            if text.strip():
                files.append({"path": path, "text": text})
        return files

    def _content(self, path: str, environment: Environment, longest: int) -> bytes | None:
        """The bytes of a file, one more than `longest` when it has more; None where there is none."""
        located = self._workspace.locate(path)
        if located.file is None:
            return None
        if judge_target(ToolRequest("read_file", {"path": path}), located, environment):
            raise Refusal(f"it is a link to '{located.name}', which needs a decision to be read")
        with os.fdopen(self._workspace.open_file(located), "rb") as file:
            return file.read(longest + 1)

    def _say(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._warn(sentence)
