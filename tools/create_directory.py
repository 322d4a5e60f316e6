"""`create_directory`: create a folder in the workspace."""

from tools.tool import Tool, arguments_schema

CREATE_DIRECTORY = Tool(
    name="create_directory",
    description="Create a folder in the workspace.",
    parameters=arguments_schema(
        {"path": {"type": "string"}, "recursive": {"type": "boolean", "default": True}},
        required=["path"],
    ),
    access="write",
    paths={"path": "directory"},
    ask_reason="Directory creation requires user approval",
)
