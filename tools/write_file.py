"""`write_file`: create a file or replace its whole content, what that takes out of it, and how it is refused."""

from collections import Counter

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
MIN_LINES = 5
"""A shorter file is often rewritten on purpose, and its whole change fits on a screen."""
MAX_LOST_SHARE = 0.5


def lost_lines(before: str, after: str) -> list[str]:
    """Return the lines of a file that are gone, in order; blank lines and indentation do not count.

    A line that occurs twice has to stay twice.
    """
    left = Counter(line.strip() for line in after.splitlines())
    lost = []
    for line in filter(None, map(str.strip, before.splitlines())):
        if left[line]:
            left[line] -= 1
        else:
            lost.append(line)
    return lost


def loss_between(before: str, after: str, path: str | None) -> str | None:
    """Say in a clause what a file loses when most of its lines go; None for less, or for a short file."""
    lines = sum(bool(line.strip()) for line in before.splitlines())
    lost = len(lost_lines(before, after))
    if lines < MIN_LINES or lost <= lines * MAX_LOST_SHARE:
        return None
    return f"it takes {lost} of the {lines} lines out of {path}"


def refusal_of_loss(loss: str) -> str:
    """What the model is told of a write that would lose something, where no person is there who could agree to it."""
    return (
        f"Nothing was written: {loss[:1].lower()}{loss[1:]}. No person is there to agree to that. "
        "Change parts of a file with edit_file, after reading them; when all is changed, finish."
    )
