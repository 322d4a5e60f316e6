"""The parser process: reads bodies from its standard input and writes their values, until the input ends.

Started by `api.body` as `python -I -S`: in a process of its own, because a thread would hold the lock of the
interpreter while it builds a tree.
"""

from __future__ import annotations

import marshal
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from json_text import Unreadable, read_json

HEAD = struct.Struct(">?Q")
"""Before each message: whether it is a value, and its bytes. A request is never one."""


def main() -> None:
    """Answer each body with its marshalled value, or with the sentence that refuses it."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD.size)) == HEAD.size:
        _, size = HEAD.unpack(head)
        try:
            is_value, answer = True, marshal.dumps(read_json(source.read(size)))
        except Unreadable as error:
            is_value, answer = False, str(error).encode()
        sink.write(HEAD.pack(is_value, len(answer)))
        sink.write(answer)
        sink.flush()


if __name__ == "__main__":
    main()
