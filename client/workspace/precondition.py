"""What a write presumes about the file (docs/protocol.md, Chunks): unread or changed content is not overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client.workspace.folder import Refusal

NOT_READ = "The file exists and was not read in this session: read it first."
CHANGED = "The file changed since it was read: read it again."


@dataclass(frozen=True)
class Precondition:
    """The file must not exist (`sha256` is None), or must hold the bytes with this digest."""

    sha256: str | None

    @classmethod
    def read(cls, metadata: Mapping[str, Any] | None) -> Precondition | None:
        """Read `metadata.precondition` of a call; None where it presumes nothing."""
        declared = (metadata or {}).get("precondition")
        if not isinstance(declared, Mapping):
            return None
        if declared.get("must_not_exist") is True:
            return cls(None)
        sha256 = declared.get("sha256")
        return cls(sha256.lower()) if isinstance(sha256, str) else None

    def check(self, before: bytes | None) -> None:
        """Refuse the write when the file's bytes (None: no file) are not the presumed ones."""
        if self.sha256 is None:
            if before is not None:
                raise Refusal(NOT_READ)
        elif before is None or sha256_of(before) != self.sha256:
            raise Refusal(CHANGED)


def sha256_of(content: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of the bytes of a file."""
    return hashlib.sha256(content).hexdigest()
