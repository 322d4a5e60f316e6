"""Strict JSON of request bodies: values that can be stored and sent (docs/protocol.md, Transport).

Imports the standard library and `json_text` only: the parser process starts without the packages of the server.
"""

from __future__ import annotations

from typing import Any

from json_text import UnfitJSON, parse_json


class Unreadable(Exception):
    """The body is not JSON that this server reads."""


def read_json(body: bytes) -> Any:
    """Read a body; raises Unreadable for what is no JSON, and for values that cannot be kept."""
    try:
        return parse_json(body.decode("utf-8-sig"), any_integer=True)
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not UTF-8") from error
    except UnfitJSON as error:
        raise Unreadable(f"The body cannot be kept: {error}") from error
    except ValueError as error:
        raise Unreadable("The body is not valid JSON") from error
