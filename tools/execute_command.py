"""`execute_command`: run one shell command in the workspace and read its output."""

from tools.tool import Tool, arguments_schema

EXECUTE_COMMAND = Tool(
    name="execute_command",
    description="Run a shell command or a program in the workspace, such as `git status` or a test, "
    "and read its output.",
    parameters=arguments_schema(
        {
            "command": {"type": "string"},
            "cwd": {"type": "string"},
            "timeout": {"type": "integer", "minimum": 1, "maximum": 300, "default": 60},
            "shell": {"type": "boolean", "default": False},
        },
        required=["command"],
    ),
    access="write",
    command="command",
    paths={"cwd": "directory"},
    ask_reason="Command execution requires user approval",
)
