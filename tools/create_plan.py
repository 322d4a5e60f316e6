"""`create_plan`: propose a plan of subtasks for a task that needs several steps."""

from tools.tool import Tool, arguments_schema

CREATE_PLAN = Tool(
    name="create_plan",
    description="Propose a plan of subtasks for a task of several steps. The user approves it before anything runs.",
    parameters=arguments_schema(
        {
            "title": {"type": "string"},
            "description": {"type": "string"},
            "subtasks": {
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {
                    "type": "object",
                    "properties": {
                        "title": {"type": "string"},
                        "description": {"type": "string"},
                        "agent": {"type": "string"},
                        "estimated_time_minutes": {"type": "integer", "minimum": 1},
                        "dependencies": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    },
                    "required": ["title", "description", "agent", "estimated_time_minutes"],
                    "additionalProperties": False,
                },
            },
        },
        required=["title", "description", "subtasks"],
    ),
    runs="virtual",
    access="none",
    effect="plan",
    agent_argument="agent",
)
