"""`write_file`: create a file or replace its whole content."""

from tools.tool import Tool, arguments_schema

WRITE_FILE = Tool(
    name="write_file",
    description="Create a new file, or replace the whole content of a file that you have read with read_file.",
    parameters=arguments_schema(
        {
            "path": {"type": "string"},
            "content": {"type": "string"},
            "encoding": {"type": "string", "default": "utf-8"},
            "create_dirs": {"type": "boolean", "default": False},
            "backup": {"type": "boolean", "default": True},
        },
        required=["path", "content"],
    ),
    access="write",
    paths={"path": "file"},
    text="content",
    ask_reason="File modification requires user approval",
)
