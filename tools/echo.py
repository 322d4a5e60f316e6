"""`echo`: repeat a text back unchanged."""

from tools.tool import Tool, arguments_schema

ECHO = Tool(
    name="echo",
    description="Self-test: gives a text back. It does no work and answers nobody; never part of a task.",
    parameters=arguments_schema({"text": {"type": "string"}}, required=["text"]),
    runs="local",
    access="none",
    execute=lambda arguments: str(arguments["text"]),
)
