"""`list_files`: list the files and folders below a path of the workspace."""

from tools.tool import Tool, arguments_schema

LIST_FILES = Tool(
    name="list_files",
    description="List the files and folders below a path of the workspace; `.` is the workspace itself.",
    parameters=arguments_schema(
        {
            "path": {"type": "string"},
            "recursive": {"type": "boolean", "default": False},
            "include_hidden": {"type": "boolean", "default": False},
            "pattern": {"type": "string"},
        },
        required=["path"],
    ),
    access="read",
    paths={"path": "directory"},
    globs={"pattern": "names"},
    refetch="To see what was left out, list one folder, or give a pattern.",
)
