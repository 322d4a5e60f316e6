"""Execution of the local tools in the runtime itself."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from context import Context, writer_of
from state import DecidedCall, tool_message
from tools.catalog import BY_NAME


async def run_locally(state: DecidedCall, runtime: Runtime[Context]) -> Command[Literal["specialist"]]:
    """Execute a local tool; a ValueError becomes the tool message."""
    execute = BY_NAME[state["tool_name"]].execute
    assert execute is not None, f"{state['tool_name']} runs locally but says not how"
    failed = False
    try:
        content = execute(state["arguments"])
    except ValueError as error:
        content, failed = f"Error: {error}", True
    metadata = {"failed": failed, "verdict": state["verdict"]}
    told = {key: state[key] for key in ("agent", "call_id", "tool_name", "arguments")}
    writer_of(runtime)({"event": "local_call", "content": content, "metadata": metadata, **told})
    return Command(
        update={"messages": [tool_message(state["call_id"], state["tool_name"], content)]}, goto="specialist"
    )
