"""`switch_mode`: hand the conversation to another agent when the task needs tools or rights that you do not have."""

from tools.tool import Tool, arguments_schema

SWITCH_MODE = Tool(
    name="switch_mode",
    description="Hand the conversation to another agent, only when the task needs a tool or a right that you lack.",
    parameters=arguments_schema(
        {
            "mode": {"type": "string"},
            "reason": {"type": "string", "default": "Task requires different agent capabilities"},
        },
        required=["mode"],
    ),
    runs="virtual",
    access="none",
    effect="switch",
    agent_argument="mode",
)
