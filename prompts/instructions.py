"""The project's instructions in the system prompt: files such as AGENTS.md, which permit nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_TAG = re.compile(r"<(?=\s*/?\s*project_file\b)", re.IGNORECASE)


def instruction_files(environment: Mapping[str, object] | None, max_chars: int) -> str:
    """Render `environment.instructions` as one element per file, together cut at `max_chars`; empty without any.

    A tag of the element in a file's own text is escaped, so that no file ends its element or begins another.
    """
    declared = (environment or {}).get("instructions")
    blocks: list[str] = []
    left = max_chars
    for file in declared if isinstance(declared, list) else []:
        text, path = str(file["text"]), str(file["path"])
        if not text.strip() or left <= 0:
            continue
        kept = text[:left]
        left -= len(kept)
        note = "" if len(kept) == len(text) else f"\n[{len(text) - len(kept)} characters were left out.]"
        name = json.dumps(path, ensure_ascii=False).replace("<", "\\u003c")
        blocks.append(f"<project_file path={name}>\n{_TAG.sub('&lt;', kept.strip())}{note}\n</project_file>")
    return "\n\n".join(blocks)
