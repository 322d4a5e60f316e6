"""Reads the stream as the gateways do: only `data: ` lines count."""

from __future__ import annotations

import json
from typing import Any

import httpx


def post(client: httpx.Client, body: dict[str, Any]) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """Send one message and read its body to the end: the response and its chunks."""
    with client.stream("POST", "/agent/message/stream", json=body) as response:
        if response.status_code != 200:
            response.read()
            return response, []
        text = b"".join(response.iter_bytes()).decode()
    return response, [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
