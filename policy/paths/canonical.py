"""The canonical form of a path: an unclear path is denied, not repaired."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from policy.paths.classes import Family, family_of
from policy.verdicts.characters import is_control, is_ignorable
from policy.verdicts.unproven import Unproven

MAX_PATH = 1024
MAX_COMPONENT = 255

_FORBIDDEN = frozenset('*?"<>|')
_FORBIDDEN_STARTS = ("/", "\\", "~", "$", "%")
_LOOKALIKES = frozenset("/\\.:\u2044\u2215\u2216\u29f5\u29f8\u29f9")
"""Separators, the dot and the colon, and characters that look like a slash."""
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9])")
_EMOJI_VARIANTS = "\ufe0e\ufe0f"


@dataclass(frozen=True)
class CanonicalPath:
    """A path relative to the workspace, with `/` between its components."""

    text: str
    """`.` is the workspace itself."""

    @property
    def components(self) -> tuple[str, ...]:
        """The components; none for the workspace itself."""
        return () if self.text == "." else tuple(self.text.split("/"))

    @property
    def extension(self) -> str:
        """The last extension of the last component in ASCII lower case, with its dot; may be empty."""
        return extension_of(self.components[-1]) if self.components else ""

    def family(self, access: Literal["read", "write"]) -> Family:
        """Return the class of the path."""
        return family_of(self.components, access)


def extension_of(name: str) -> str:
    """Return the part from the last dot on; `.md` alone is a name, not an extension."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending}".lower() if dot and stem.strip(".") else ""


def canonicalise(path: str, kind: Literal["file", "directory"], workspace_root: str | None = None) -> CanonicalPath:
    """Return the canonical form of a path; raise a Unproven that says why it is not allowed."""
    _check_characters(path)
    relative = relativised(path, workspace_root)
    if relative.startswith(_FORBIDDEN_STARTS):
        raise Unproven("path.absolute", "the path must be relative to the workspace", danger="high")
    parts = relative.replace("\\", "/").split("/")
    if kind == "file" and parts[-1] in {"", "."}:
        raise Unproven("path.directory", "the path names a directory, not a file")
    if parts[0] == ".":
        parts = parts[1:]
    components = [unicodedata.normalize("NFC", part) for part in parts if part]
    for component in components:
        _check_component(component)
    if not components and kind == "file":
        raise Unproven("path.directory", "the path names a directory, not a file")
    return CanonicalPath("/".join(components) or ".")


def _check_characters(path: str) -> None:
    if not path.strip():
        raise Unproven("path.empty", "the path is empty")
    if len(path) > MAX_PATH:
        raise Unproven("path.length", f"the path is longer than {MAX_PATH} characters")
    for character in path:
        if " " <= character <= "~":
            continue
        if is_control(character) or character == "\ufffd":
            raise Unproven("path.character", "the path holds a control character", danger="high")
        if (
            character not in _EMOJI_VARIANTS
            and (is_ignorable(character) or unicodedata.category(character) in {"Zs", "Zl", "Zp", "Cs"})
        ) or _LOOKALIKES.intersection(unicodedata.normalize("NFKC", character)):
            raise Unproven("path.character", "the path holds an invisible or misleading character", danger="high")


def relativised(path: str, workspace_root: str | None) -> str:
    """Cut the workspace root off an absolute path below it; leave every other path as it is."""
    if not workspace_root or not re.match(r"[/\\]|[A-Za-z]:[/\\]", path):
        return path
    root = unicodedata.normalize("NFC", workspace_root).replace("\\", "/").rstrip("/")
    whole = unicodedata.normalize("NFC", path).replace("\\", "/")
    if re.match(r"[A-Za-z]:", root):
        shortest, same = 3, whole[: len(root)].casefold() == root.casefold()
    else:
        shortest, same = 2, whole.startswith(root)
    if len(root) < shortest or not same or ".." in root.split("/"):
        return path
    rest = whole[len(root) :]
    if rest in {"", "/"}:
        return "."
    return rest[1:] if rest.startswith("/") and not rest.startswith("//") else path


def _check_component(component: str) -> None:
    if component == "..":
        raise Unproven("path.outside", "the path has a .. component; write it without", danger="high")
    if len(component) > MAX_COMPONENT:
        raise Unproven("path.length", f"a component is longer than {MAX_COMPONENT} characters")
    if ":" in component:
        raise Unproven("path.stream", "a colon names a drive or a data stream", danger="high")
    if _FORBIDDEN.intersection(component):
        raise Unproven("path.name", 'the path holds one of * ? " < > |')
    if component.endswith((" ", ".")):
        raise Unproven("path.name", "a component ends in a space or a dot", danger="high")
    compatible = unicodedata.normalize("NFKC", component).casefold()
    if _DEVICES.fullmatch(compatible.split(".", 1)[0].rstrip()):
        raise Unproven("path.name", "a component is a device name on Windows")
    if re.search(r"~\d", compatible):
        raise Unproven("path.name", "a component looks like a short name of Windows", danger="high")
    if extension_of(compatible) != extension_of(component.casefold()):
        raise Unproven("path.character", "the extension is written in look-alike characters", danger="high")
