"""What a forked server process runs: `agent-runtime serve`, its modules loaded before the fork."""

from __future__ import annotations

import os

# Loaded once by the fork server; a start then costs a tenth of a second instead of two.
import langchain_openai  # noqa: F401
import langgraph.checkpoint.postgres.aio  # noqa: F401
import psycopg_pool  # noqa: F401

import cli
import server  # noqa: F401


def serve(environment: dict[str, str], port: int) -> None:
    """Serve until killed or told to stop."""
    os.environ.clear()
    os.environ.update(environment)
    cli.app(["serve", "--port", str(port)])
