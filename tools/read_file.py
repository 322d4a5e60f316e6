"""`read_file`: read a text file of the workspace."""

from tools.tool import Tool, arguments_schema

READ_FILE = Tool(
    name="read_file",
    description="Read a text file of the workspace; start_line and end_line (1-based, inclusive) select a part.",
    parameters=arguments_schema(
        {
            "path": {"type": "string"},
            "encoding": {"type": "string", "default": "utf-8"},
            "start_line": {"type": "integer", "minimum": 1},
            "end_line": {"type": "integer", "minimum": 1},
        },
        required=["path"],
    ),
    access="read",
    paths={"path": "file"},
    refetch="To read what was left out, call read_file with start_line and end_line.",
)
