"""`echo`: repeat a text back unchanged."""

from tools.tool import Tool, arguments_schema

ECHO = Tool(
    name="echo",
    description="Repeat a text back unchanged. Only for testing that tools work.",
    parameters=arguments_schema({"text": {"type": "string"}}, required=["text"]),
    runs="local",
    default="allow",
    execute=lambda arguments: str(arguments["text"]),
)
