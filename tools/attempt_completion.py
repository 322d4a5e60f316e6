"""`attempt_completion`: finish the task: present its result to the user."""

from tools.tool import Tool, arguments_schema

ATTEMPT_COMPLETION = Tool(
    name="attempt_completion",
    description="Finish the task: present its result to the user. Call it once, when all that was asked is done.",
    parameters=arguments_schema(
        {"result": {"type": "string"}},
        required=["result"],
    ),
    runs="virtual",
    access="none",
    effect="complete",
)
