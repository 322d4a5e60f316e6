"""`search_in_code`: search the files of the workspace for a text or a regular expression and get the matching lines."""

from tools.tool import Tool, arguments_schema

SEARCH_IN_CODE = Tool(
    name="search_in_code",
    description="Search the files of the workspace for a text or a regular expression and get the matching lines; "
    "`file_pattern` is a glob such as `*.py`.",
    parameters=arguments_schema(
        {
            "query": {"type": "string"},
            "path": {"type": "string", "default": "."},
            "file_pattern": {"type": "string"},
            "case_sensitive": {"type": "boolean", "default": False},
            "regex": {"type": "boolean", "default": False},
            "max_results": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
        required=["query"],
    ),
    access="read",
    paths={"path": "directory"},
    globs={"file_pattern": "content"},
    refetch="To see what was left out, give a path, a file_pattern or fewer max_results.",
)
