"""Where a model is and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """Where the model is and how it is asked (docs/settings.md, `LLM_…`)."""

    proxy_url: str = "http://localhost:8002"
    internal_key: str | None = None
    """Sent as `X-Internal-Auth` when there is no `api_key`."""
    api_key: str | None = None
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
        if self.api_key:
            ours["Authorization"] = f"Bearer {self.api_key}"
        elif self.internal_key:
            ours["X-Internal-Auth"] = self.internal_key
        chosen = {name.lower() for name in self.headers}
        return {**{name: value for name, value in ours.items() if name.lower() not in chosen}, **self.headers}
