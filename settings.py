"""The settings: `AGENT_RUNTIME__*` from the environment and a file that is named, read once (docs/settings.md)."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from errors import ConfigurationError
from json_text import parse_json

PREFIX = "AGENT_RUNTIME__"
DEFAULT_KEY = "change-me-internal-key"
ENV_FILE = f"{PREFIX}ENV_FILE"
"""The variable that names the file of settings; the command line reads it."""
NANO = 10**9
"""Money is counted in billionths of a USD: sums are exact."""
_HEADER_TEXT = re.compile(r"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset(
    {"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"}
)
"""Headers that say how a request is sent: another value breaks it."""
_HOST = re.compile(r"[0-9A-Za-z_.:%-]{1,253}")


def _read_switch(value: Any) -> Any:
    if isinstance(value, str):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if value.strip().lower() not in words:
            raise ValueError("use true, 1, yes or false, 0, no")
        return words[value.strip().lower()]
    return value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _check_host(value: str) -> str:
    if not _HOST.fullmatch(value) or ".." in value:
        raise ValueError("write an address or a host name, such as 127.0.0.1")
    return value


def _check_url(value: str) -> str:
    try:
        url = urlsplit(value)
        is_usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("write http://host:port or https://host, with a path if the server has one")
    if url.username is not None or url.password is not None:
        raise ValueError(f"write the key as {PREFIX}LLM_API_KEY, not into the address")
    if url.query or url.fragment:
        raise ValueError("write the address without ? and #")
    return value


def _check_receiver(value: str) -> str:
    _check_url(value.partition("?")[0])
    return value


def _check_key(value: str) -> str:
    if not _HEADER_TEXT.fullmatch(value):
        raise ValueError("a key is sent in a header: use visible ASCII characters")
    return value


def _read_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        found = parse_json(value, any_integer=True)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("write a JSON object")  # noqa: TRY004 pydantic reads a ValueError
    return found


def _check_headers(value: dict[str, str]) -> dict[str, str]:
    names = [name.lower() for name in value]
    if len(set(names)) < len(names):
        raise ValueError("write each header once; case makes no difference")
    if ours := _FRAMING.intersection(names):
        raise ValueError(f"{min(ours)} belongs to the connection and cannot be chosen")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or (text and not _HEADER_TEXT.fullmatch(text)):
            raise ValueError("names and values must be what HTTP allows in a header")
    return value


def _check_hosts(value: str) -> str:
    for name in _host_names(value):
        is_address = ":" not in name or _is_ipv6(name)
        if not is_address or not _HOST.fullmatch(name) or ".." in name:
            raise ValueError("write host names, separated by commas, without http://, port and *")
    return value


def _host_names(value: str) -> frozenset[str]:
    """The names as the Host check compares them: in lower case, without brackets and a final dot."""
    names = (name.strip().lower().removeprefix("[").removesuffix("]").rstrip(".") for name in value.split(","))
    return frozenset(filter(None, names))


def _is_ipv6(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).version == 6
    except ValueError:
        return False


Scope = Literal["turn", "session", "owner"]
"""What a budget is for."""
Unit = Literal["tokens", "usd"]
Switch = Annotated[bool, BeforeValidator(_read_switch)]
Hours = Annotated[float, Field(ge=0, le=87_600, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
JsonObject = Annotated[dict[str, Any], NoDecode, BeforeValidator(_read_object)]
Headers = Annotated[dict[str, str], NoDecode, BeforeValidator(_read_object), AfterValidator(_check_headers)]
Key = Annotated[str, AfterValidator(_check_key)]


class Settings(BaseSettings):
    """Everything that an operator may choose; `docs/settings.md` explains each."""

    # No env_file: the current folder may be an untrusted repository.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        ignored_types=(cached_property,),
    )

    host: Annotated[str, AfterValidator(_check_host)] = "127.0.0.1"
    port: int = Field(8001, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64)
    allowed_hosts: Annotated[str, AfterValidator(_check_hosts)] | None = None
    internal_api_key: Key | None = None
    internal_api_key_file: Path | None = None
    db_url: str = "sqlite:///data/agent_runtime.db"
    db_listen_url: str | None = None
    llm_proxy_url: Annotated[str, AfterValidator(_check_url)] = "http://localhost:8002"
    llm_model: str = "fake-llm"
    llm_api_key: Key | None = None
    llm_api_key_file: Path | None = None
    llm_timeout_seconds: Seconds = 360
    llm_max_retries: int = Field(2, ge=0, le=10)
    llm_idle_timeout_seconds: Seconds = 180
    llm_context_tokens: int = Field(128_000, ge=1_000)
    llm_max_tokens: int | None = Field(None, ge=1)
    llm_temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    llm_headers: Headers = Field(default_factory=dict)
    llm_extra_body: JsonObject = Field(default_factory=dict)
    llm_breaker_failures: int = Field(10, ge=0)
    llm_breaker_seconds: Seconds = 15
    llm_fallback_model: str | None = None
    llm_fallback_url: Annotated[str, AfterValidator(_check_url)] | None = None
    llm_fallback_api_key: Key | None = None
    llm_prices_file: Path | None = None
    budget_tokens_per_turn: int = Field(0, ge=0)
    budget_tokens_per_session: int = Field(0, ge=0)
    budget_tokens_per_owner: int = Field(0, ge=0)
    budget_usd_per_turn: Usd = 0
    budget_usd_per_session: Usd = 0
    budget_usd_per_owner: Usd = 0
    budget_owner_days: int = Field(30, ge=1, le=366)
    webhook_url: Annotated[str, AfterValidator(_check_receiver)] | None = None
    webhook_secret: str | None = Field(None, min_length=16)
    webhook_allow_private: Switch = False
    policy_file: Path | None = None
    policy_profile: Literal["standard", "strict"] = "standard"
    gateway_url: str | None = None
    max_concurrent_requests: str | None = None
    request_timeout: str | None = None
    multi_agent_mode: Switch = True
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    log_format: Literal["text", "json"] = "text"
    otel_endpoint: Annotated[str, AfterValidator(_check_url)] | None = None
    version: str = Field(default_factory=lambda: version_of("codelab-agent-runtime"))
    approval_mode: Literal["ide", "strict"] = "ide"
    approval_expiry_hours: Hours = 24
    run_max_attempts: int = Field(5, ge=1, le=50)
    session_wait_seconds: float = Field(30, ge=0, lt=60, allow_inf_nan=False)
    session_max_age_hours: Hours = 24
    rate_limit_per_minute: int = Field(300, ge=0)
    max_runs: int = Field(600, ge=0)
    max_runs_per_owner: int = Field(100, ge=0)
    max_streams_per_owner: int = Field(500, ge=0)
    max_waiting_per_session: int = Field(100, ge=1)
    max_messages: int = Field(1000, ge=1)
    max_switches: int = Field(50, ge=0)
    max_model_calls_per_turn: int = Field(50, ge=1)
    switch_approval: Switch = False
    max_body_bytes: int = Field(8_388_608, ge=1024)
    max_tool_result_chars: int = Field(32_768, ge=100)
    prompt_size: Literal["auto", "guided", "concise"] = "auto"
    prompt_reload: Switch = False

    @model_validator(mode="before")
    @classmethod
    def _drop_blank(cls, given: Any) -> Any:
        """A blank value is an unset one: compose files write `NAME: ${NAME:-}`."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if not (isinstance(value, str) and not value.strip())}

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
            reason = first["msg"].removeprefix("Value error, ")
            raise ConfigurationError(f"{PREFIX}{name.upper()} is not usable: {reason}.") from error

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
        """Return the keys of INTERNAL_API_KEY with the principal of each (docs/protocol.md, Transport)."""
        return read_keys(self.internal_api_key or "", f"{PREFIX}INTERNAL_API_KEY")

    @cached_property
    def first_key(self) -> str | None:
        """The key that is sent to the LLM proxy."""
        return next(iter(self.principals), None)

    @cached_property
    def secrets(self) -> frozenset[str]:
        """Every configured value that must not appear in a log line; `api.keys` adds those of key files."""
        passwords: list[str] = []
        for url in filter(None, (self.db_url, self.db_listen_url)):
            address, _, query = url.partition("?")
            userinfo = address.partition("://")[2].rpartition("@")[0]
            passwords += [userinfo.partition(":")[2], *parse_qs(query).get("password", ())]
        beside = (self.llm_api_key, self.llm_fallback_api_key, self.webhook_secret, self.webhook_url)
        given = (*self.principals, *beside, *self.llm_headers.values(), *passwords, *map(unquote, passwords))
        return frozenset(filter(None, given))

    @cached_property
    def budgets(self) -> Mapping[tuple[Scope, Unit], int]:
        """The budgets that are set: tokens, or billionths of a USD."""
        given = {
            (scope, unit): getattr(self, f"budget_{unit}_per_{scope}")
            for scope in get_args(Scope)
            for unit in get_args(Unit)
        }
        return {key: round(value * (NANO if key[1] == "usd" else 1)) for key, value in given.items() if value}

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The host names of ALLOWED_HOSTS in lower case; empty = every name."""
        return _host_names(self.allowed_hosts or "")

    def cautions(self) -> list[str]:
        """What an operator should know of these settings, a sentence each, for the log at the start."""
        url = urlsplit(self.llm_proxy_url)
        host = url.hostname or ""
        found = []
        is_public = self.llm_model != "fake-llm" and _is_public(host)
        if is_public and url.scheme == "http":
            found.append(f"{PREFIX}LLM_PROXY_URL sends keys and conversations unencrypted to {host}: use https.")
        if is_public and not (self.llm_api_key or self.llm_api_key_file):
            found.append(
                f"{PREFIX}LLM_API_KEY is not set: the first internal key goes to {host} as X-Internal-Auth; "
                "give the model server a key of its own."
            )
        return found


def read_keys(text: str, name: str) -> dict[str, str]:
    """Read keys, separated by commas or lines, each `key` or `name=key`: whom each stands for.

    Raises ConfigurationError that begins with `name`, the setting or file that they came from.
    """
    found: dict[str, str] = {}
    for part in re.split(r"[,\r\n]", text):
        principal, equals, key = part.strip().partition("=")
        if equals and (not principal or not key.strip("=") or "/" in principal):
            raise ConfigurationError(
                f"{name} is not usable: write each key as key or name=key, "
                "without = in a key that has no name and without / in a name."
            )
        if part.strip() and not _HEADER_TEXT.fullmatch(part.strip()):
            raise ConfigurationError(f"{name} is not usable: keys are visible ASCII characters.")
        if part.strip():
            found[key if equals else principal] = principal if equals else ""
    return found


def unknown_names(env_file: Path | None = None) -> dict[str, str | None]:
    """The variables with our prefix that no setting has, each with the nearest name that there is, or None."""
    known = [*(name.upper() for name in Settings.model_fields), ENV_FILE.removeprefix(PREFIX)]
    hints: dict[str, str | None] = {}
    for name in sorted({*os.environ, *(dotenv_values(env_file) if env_file is not None else ())}):
        rest = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX[:-1]) and rest not in known:
            nearest = get_close_matches(rest.removeprefix(PREFIX[:-1]), known, n=1)
            hints[name] = f"{PREFIX}{nearest[0]}" if nearest else None
    return hints


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and host.rpartition(".")[2].lower() not in ("internal", "local", "lan", "localhost", "svc")
