"""The workspace of one labelled task: a few files in memory that answer tool calls as a client would."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from policy.paths.globs import glob_matches
from tools.create_directory import CREATE_DIRECTORY
from tools.edit_file import EDIT_FILE, edited
from tools.execute_command import EXECUTE_COMMAND
from tools.glob import GLOB
from tools.list_files import LIST_FILES
from tools.read_file import READ_FILE
from tools.search_in_code import SEARCH_IN_CODE
from tools.write_file import WRITE_FILE


class FakeWorkspace:
    """Files by path, in memory only; no command runs."""

    def __init__(self, files: Mapping[str, str], commands: Mapping[str, Any] | None = None) -> None:
        self.files = dict(files)
        self._commands = dict(commands or {})
        self._tools: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            READ_FILE.name: self._read_file,
            WRITE_FILE.name: self._write_file,
            EDIT_FILE.name: self._edit_file,
            GLOB.name: self._glob,
            LIST_FILES.name: self._list_files,
            SEARCH_IN_CODE.name: self._search_in_code,
            CREATE_DIRECTORY.name: self._create_directory,
            EXECUTE_COMMAND.name: self._execute_command,
        }

    def answer(self, tool_name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Execute a client's tool and return the value that resumes its interrupt; an unknown tool is an error."""
        tool = self._tools.get(tool_name)
        if tool is None:
            return {"error": f"This workspace has no tool '{tool_name}'."}
        try:
            return {"result": tool(arguments)}
        except (FileNotFoundError, ValueError) as error:
            return {"error": str(error)}

    def _read_file(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        path = _plain(arguments["path"])
        if path not in self.files:
            raise FileNotFoundError(f"'{path}' does not exist.")
        lines = self.files[path].splitlines(keepends=True)
        shown = lines[arguments.get("start_line", 1) - 1 : arguments.get("end_line", len(lines))]
        return {"success": True, "content": "".join(shown), "lines_read": len(shown)}

    def _write_file(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.files[_plain(arguments["path"])] = arguments["content"]
        return {"success": True, "bytes_written": len(arguments["content"].encode())}

    def _edit_file(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        path, count = _plain(arguments["path"]), arguments.get("count", 1)
        if path not in self.files:
            raise FileNotFoundError(f"'{path}' does not exist.")
        self.files[path] = edited(self.files[path], arguments["old"], arguments["new"], count=count, path=path)
        return {"success": True, "replaced": count}

    def _glob(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        top = _plain(arguments.get("path", "."))
        below = {posixpath.relpath(path, top): path for path in sorted(self.files)}
        found = [path for name, path in below.items() if glob_matches(arguments["pattern"], name)]
        return {"success": True, "files": found, "total_count": len(found)}

    def _list_files(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        top = _plain(arguments["path"])
        below = [path for path in sorted(self.files) if top == "." or path.startswith(f"{top}/")]
        pattern = arguments.get("pattern")
        kept = [path for path in below if not pattern or fnmatch.fnmatch(posixpath.basename(path), pattern)]
        items = [{"name": posixpath.basename(path), "path": path, "type": "file"} for path in kept]
        return {"success": True, "path": top, "items": items, "total_count": len(items)}

    def _search_in_code(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        query = arguments["query"].lower()
        matches = [
            {"path": path, "line": number, "text": line}
            for path, text in sorted(self.files.items())
            for number, line in enumerate(text.splitlines(), start=1)
            if query in line.lower()
        ]
        return {"query": arguments["query"], "matches": matches, "total_matches": len(matches), "truncated": False}

    def _create_directory(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"success": True, "path": arguments["path"], "created": True, "already_exists": False}

    def _execute_command(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a command from the task's table, by the words that it contains."""
        known = (text for words, text in self._commands.items() if words in arguments["command"])
        return {"exit_code": 0, "stdout": next(known, ""), "stderr": ""}


def _plain(path: str) -> str:
    return posixpath.normpath(path) if path else "."
