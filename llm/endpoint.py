"""Where a model is and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """Where the model is and how it is asked (docs/settings.md)."""

    proxy_url: str = "http://localhost:8002"
    internal_key: str | None = None
    """Sent as `X-Internal-Auth` when there is no `api_key`."""
    api_key: str | None = None
    current_keys: Callable[[], tuple[str | None, str | None]] | None = None
    """Returns `api_key` and `internal_key` for each request, where they may change while the process runs."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent besides, and instead of ours where the names are equal."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float = 360
    """The limit of one attempt as a whole."""
    idle_timeout_s: float = 180
    """The longest silence within one attempt."""

    def request_headers(self) -> dict[str, str]:
        """The headers that identify this server to the model's."""
        ours: dict[str, str] = {}
        api_key, internal_key = self.current_keys() if self.current_keys else (self.api_key, self.internal_key)
        if api_key:
            ours["Authorization"] = f"Bearer {api_key}"
        elif internal_key:
            ours["X-Internal-Auth"] = internal_key
        chosen = {name.lower() for name in self.headers}
        return {**{name: value for name, value in ours.items() if name.lower() not in chosen}, **self.headers}
