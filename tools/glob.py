"""`glob`: find files of the workspace by a pattern of their paths."""

from tools.tool import Tool, arguments_schema

GLOB = Tool(
    name="glob",
    description="Find files by a pattern of their paths below `path`, such as `**/*.py`: `*` and `?` inside a name, "
    "`**` for any number of folders.",
    parameters=arguments_schema(
        {"pattern": {"type": "string"}, "path": {"type": "string", "default": "."}},
        required=["pattern"],
    ),
    access="read",
    paths={"path": "directory"},
    globs={"pattern": "names"},
    refetch="To see what was left out, give a narrower pattern or a path.",
    declared=True,
)
