"""The configuration of a client: the process environment and the user's own file, never the folder it acts in.

A client works in untrusted folders: a `.env`, a database or a rules file there must not choose the model's
address, take the user's key, or let a command run unasked (docs/terminal-client.md, Configuration).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePath
from typing import Any

import platformdirs

from errors import ConfigurationError
from settings import PREFIX, Settings

APPLICATION = "codelab-agent-runtime"
FILE_NAME = "client.env"
_RELATIVE_SQLITE = re.compile(r"sqlite(\+aiosqlite)?:///(?!/|[A-Za-z]:)")


def configuration_file() -> Path:
    """The user's own file: lines `AGENT_RUNTIME__NAME=value`; it need not exist."""
    return platformdirs.user_config_path(APPLICATION, appauthor=False) / FILE_NAME


def data_folder() -> Path:
    """Return the user's folder for the data of clients; created when needed, readable by the user only."""
    folder = platformdirs.user_data_path(APPLICATION, appauthor=False)
    _make(folder)
    return folder


def workspace_folder(workspace: Path) -> Path:
    """The part of the data folder that belongs to one workspace: its database, outside of what it describes."""
    root = workspace.resolve()
    name = re.sub(r"[^A-Za-z0-9._-]", "_", root.name)[:40] or "root"
    digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    folder = data_folder() / "workspaces" / f"{name}-{digest}"
    _make(folder)
    return folder


def client_settings(**overrides: Any) -> Settings:
    """Read the settings of a client; the environment wins over the user's file, `overrides` win over both.

    Raises ConfigurationError for a path that would be looked up in the current folder.
    """
    settings = Settings.load(configuration_file(), **overrides)
    if "db_url" in settings.model_fields_set - overrides.keys() and _RELATIVE_SQLITE.match(settings.db_url):
        raise _relative("DB_URL", settings.db_url)
    if settings.policy_file is not None and not PurePath(settings.policy_file).is_absolute():
        raise _relative("POLICY_FILE", str(settings.policy_file))
    return settings


def _relative(name: str, value: str) -> ConfigurationError:
    return ConfigurationError(
        f"{PREFIX}{name} is '{value}', which depends on the current folder: give a client an absolute path."
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"The folder {folder} cannot be created: {error.strerror}.") from error
