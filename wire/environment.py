"""What a client declares of the machine that runs its tools (docs/protocol.md, `user_message`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from json_text import storable
from wire.text import Text

MAX_INSTRUCTION_BYTES = 32_768


class InstructionFile(BaseModel):
    """A file in which a project says how work in it is done, such as AGENTS.md."""

    model_config = ConfigDict(extra="ignore")

    path: Annotated[Text, Field(max_length=1024)]
    text: Text


class SandboxDeclared(BaseModel):
    """The sandbox of commands that run without approval on the client's machine."""

    model_config = ConfigDict(extra="ignore")

    kind: Text | None = None
    network: bool | None = None
    write: Text | None = None


def _within_limit(files: list[InstructionFile]) -> list[InstructionFile]:
    """Refuse instructions that are too long together; each counts with its path."""
    if sum(len(file.path.encode()) + len(file.text.encode()) for file in files) > MAX_INSTRUCTION_BYTES:
        raise ValueError(f"instructions have at most {MAX_INSTRUCTION_BYTES} bytes together")
    return files


Count = Annotated[int, Field(ge=0)]


class GitState(BaseModel):
    """The work tree and the branch of a repository as the client found them when the conversation began."""

    model_config = ConfigDict(extra="ignore")

    staged: Count | None = None
    modified: Count | None = None
    conflicted: Count | None = None
    untracked: Count | None = None
    upstream: Text | None = None
    ahead: Count | None = None
    behind: Count | None = None


class EnvironmentDeclared(BaseModel):
    """What the client says of the machine that runs its tools; kept for the session until sent again."""

    model_config = ConfigDict(extra="ignore")

    os: Text | None = None
    shell: Text | None = None
    workspace_root: Text | None = None
    has_git: bool | None = None
    git_branch: Text | None = None
    git_state: GitState | None = None
    date: Text | None = None
    tools: list[Text] | None = None
    rules: Annotated[list[Any], AfterValidator(storable)] | None = None
    instructions: Annotated[list[InstructionFile], AfterValidator(_within_limit)] | None = None
    sandbox: SandboxDeclared | None = None
