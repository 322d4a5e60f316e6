"""Strings of a client: what may be stored, ids of sessions, and values quoted in a refusal (docs/protocol.md)."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator

from json_text import storable

SESSION_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Text = Annotated[str, AfterValidator(storable)]
"""A string that is stored or shown, U+0000 and lone surrogates replaced (docs/protocol.md, Transport)."""
SHOWN_CHARS = 200


def quoted(value: Any) -> str:
    """A value of the client's as a refusal shows it: text as it is, None by name, the rest as JSON, never endless."""
    text = value if isinstance(value, str) else "None" if value is None else json.dumps(value)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
