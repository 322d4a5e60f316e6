"""Globs over canonical paths: `*` and `?` inside a component, `**` for any number of components; never exponential."""

from __future__ import annotations

MAX_GLOB_LENGTH = 200


def check_glob(glob: str) -> str | None:
    """Say why a glob cannot be used, or None."""
    if not glob or len(glob) > MAX_GLOB_LENGTH:
        return f"a glob has 1 to {MAX_GLOB_LENGTH} characters"
    if any(character in glob for character in "\\:[]{}!") or glob.startswith(("/", "~")):
        return "a glob is relative and knows only *, ? and **"
    parts = glob.split("/")
    if "" in parts or ".." in parts or "." in parts:
        return "a glob has no empty component, no . and no .."
    if any("**" in part and part != "**" for part in parts):
        return "** stands alone in its component"
    return None


def glob_matches(glob: str, path: str) -> bool:
    """Say whether a canonical path matches a glob, without regard to ASCII case: some file systems have none."""
    patterns = glob.lower().split("/")
    names = path.lower().split("/")
    reachable = {0}
    for pattern in patterns:
        if pattern == "**":
            reachable = set(range(min(reachable), len(names) + 1)) if reachable else set()
        else:
            reachable = {
                place + 1 for place in reachable if place < len(names) and component_matches(pattern, names[place])
            }
    return len(names) in reachable


def component_matches(pattern: str, name: str) -> bool:
    """Match one component against a pattern of literals, `*` and `?`, in at most len(pattern) * len(name) steps."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    at, place, star, retry = 0, 0, -1, 0
    while place < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, retry = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[place]):
            at += 1
            place += 1
        elif star >= 0:
            retry += 1
            at, place = star + 1, retry
        else:
            return False
    return all(character == "*" for character in pattern[at:])
