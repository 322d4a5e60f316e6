"""The settings: `AGENT_RUNTIME__*` from the environment and a file that is named, read once (docs/settings.md)."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from errors import ConfigurationError

PREFIX = "AGENT_RUNTIME__"
DEFAULT_KEY = "change-me-internal-key"


def _read_switch(value: Any) -> Any:
    if isinstance(value, str):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if value.strip().lower() not in words:
            raise ValueError("use true, 1, yes or false, 0, no")
        return words[value.strip().lower()]
    return value


def _drop_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_read_switch)]
OptionalText = Annotated[str | None, BeforeValidator(_drop_blank)]


class Settings(BaseSettings):
    """Everything that an operator may choose; `docs/settings.md` explains each."""

    # No env_file: the current folder may be an untrusted repository.
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, ignored_types=(cached_property,))

    host: str = "127.0.0.1"
    port: int = Field(8001, ge=0, le=65535)
    internal_api_key: OptionalText = None
    db_url: str = "sqlite:///data/agent_runtime.db"
    llm_proxy_url: str = "http://localhost:8002"
    llm_model: str = "fake-llm"
    llm_api_key: OptionalText = None
    llm_timeout_seconds: float = Field(360, gt=0)
    llm_max_retries: int = Field(2, ge=0, le=10)
    llm_idle_timeout_seconds: float = Field(180, gt=0)
    llm_context_tokens: int = Field(128_000, ge=1_000)
    llm_max_tokens: int | None = Field(None, ge=1)
    llm_temperature: float | None = Field(None, ge=0, le=2)
    llm_headers: dict[str, str] = Field(default_factory=dict)
    llm_extra_body: dict[str, Any] = Field(default_factory=dict)
    policy_file: Path | None = None
    policy_profile: Literal["standard", "strict"] = "standard"
    gateway_url: OptionalText = None
    max_concurrent_requests: OptionalText = None
    request_timeout: OptionalText = None
    multi_agent_mode: Switch = True
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    log_format: Literal["text", "json"] = "text"
    version: str = Field(default_factory=lambda: version_of("codelab-agent-runtime"))
    approval_mode: Literal["ide", "strict"] = "ide"
    approval_expiry_hours: float = Field(24, ge=0)
    session_wait_seconds: float = Field(30, ge=0, lt=60)
    session_max_age_hours: float = Field(24, ge=0)
    rate_limit_per_minute: int = Field(300, ge=0)
    max_messages: int = Field(1000, ge=1)
    max_switches: int = Field(50, ge=0)
    max_model_calls_per_turn: int = Field(50, ge=1)
    switch_approval: Switch = False
    max_body_bytes: int = Field(8_388_608, ge=1024)
    max_tool_result_chars: int = Field(32_768, ge=100)
    prompt_reload: Switch = False

    @classmethod
    def load(cls, env_file: Path | None = None, **overrides: Any) -> Settings:
        """Read the environment, then `env_file` (lines `NAME=value`; it may be missing) for what is not set there.

        Raises ConfigurationError naming the variable that is malformed, or the file that cannot be read.
        """
        try:
            return cls(_env_file=env_file, **overrides)
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"The file {env_file} cannot be read: {error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "?"
            raise ConfigurationError(f"{PREFIX}{name.upper()} is not usable: {first['msg']}.") from error

    @cached_property
    def is_loopback(self) -> bool:
        """Whether the bind address can only be reached from this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @cached_property
    def principals(self) -> dict[str, str]:
        """Return the accepted keys with the principal of each (docs/protocol.md section 1)."""
        found: dict[str, str] = {}
        for part in (self.internal_api_key or "").split(","):
            name, equals, key = part.strip().partition("=")
            if equals and (not name or not key.strip("=") or "/" in name):
                raise ConfigurationError(
                    f"{PREFIX}INTERNAL_API_KEY is not usable: write each key as key or name=key, "
                    "without = in a key that has no name and without / in a name."
                )
            if part.strip():
                found[key if equals else name] = name if equals else ""
        return found

    @cached_property
    def first_key(self) -> str | None:
        """The key that is sent to the LLM proxy."""
        return next(iter(self.principals), None)

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Every configured value that must not appear in a log line."""
        password = urlsplit(self.db_url).password
        return frozenset(filter(None, (*self.principals, self.llm_api_key, password, unquote(password or ""))))

    def check_keys(self) -> None:
        """Refuse to start on an open address with a default key or with none."""
        if self.is_loopback:
            return
        if not self.principals:
            raise ConfigurationError(
                f"{PREFIX}INTERNAL_API_KEY is not set and {PREFIX}HOST is {self.host}: "
                "set a key of your own, or bind 127.0.0.1."
            )
        if DEFAULT_KEY in self.principals:
            raise ConfigurationError(
                f"{PREFIX}INTERNAL_API_KEY is the published default and {PREFIX}HOST is {self.host}: "
                "set a key of your own, or bind 127.0.0.1."
            )
