"""The floor: FastAPI, LangGraph and its PostgreSQL checkpointer, and nothing else; arguments PORT DB_URL [MODEL_URL].

One node asks the model and streams its tokens; a tool call interrupts the graph, a second request brings the result.
No authentication, limits, policy, event log, history, audit, take-over or metrics.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from langchain_core.messages import AIMessageChunk, ToolMessage
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sse_starlette import EventSourceResponse


@tool
def read_file(path: str) -> str:
    """Read a file."""
    return path


def build(model: Any) -> StateGraph[MessagesState]:
    """Wire the graph: ask the model, and pause for the client at each tool call."""
    bound = model.bind(tools=[convert_to_openai_tool(read_file)])

    async def ask(state: MessagesState) -> Command[str]:
        reply = await bound.ainvoke(state["messages"])
        return Command(update={"messages": [reply]}, goto="call" if reply.tool_calls else "__end__")

    async def call(state: MessagesState) -> Command[str]:
        made = state["messages"][-1].tool_calls[0]  # type: ignore[union-attr]
        result = interrupt(made)
        return Command(update={"messages": [ToolMessage(result, tool_call_id=made["id"])]}, goto="ask")

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("call", call)
    graph.add_edge(START, "ask")
    return graph


def create_app(db_url: str, model: Any) -> FastAPI:
    """Make the app on a database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(db_url, min_size=2, max_size=16, kwargs=options) as pool:
            await AsyncPostgresSaver(pool).setup()  # type: ignore[arg-type]
            app.state.graph = build(model).compile(checkpointer=AsyncPostgresSaver(pool))  # type: ignore[arg-type]
            yield

    app = FastAPI(lifespan=lifespan)

    async def frames(thread: str, given: Any) -> AsyncIterator[str]:
        config = {"configurable": {"thread_id": thread}}
        async for kind, data in app.state.graph.astream(given, config, stream_mode=["messages", "updates"]):
            if kind == "messages" and isinstance(data[0], AIMessageChunk) and data[0].content:
                yield json.dumps({"token": data[0].content})
            elif kind == "updates" and "__interrupt__" in data:
                yield json.dumps({"call": data["__interrupt__"][0].value})
        yield json.dumps({"type": "done"})

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/turn")
    async def turn(body: dict[str, Any]) -> EventSourceResponse:
        given = Command(resume=body["result"]) if "result" in body else {"messages": [("user", body["content"])]}
        return EventSourceResponse(frames(body["session_id"], given))

    return app


def main() -> None:
    """Serve until killed."""
    port, db_url, *url = sys.argv[1:]
    if url:
        from langchain_openai import ChatOpenAI

        model: Any = ChatOpenAI(model="stub", base_url=f"{url[0]}/v1", api_key="none", stream_usage=True)  # type: ignore[arg-type]
    else:
        from llm.scripted import ScriptedModel

        model = ScriptedModel()
    uvicorn.run(create_app(db_url, model), port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
