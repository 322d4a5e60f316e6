"""`agent-runtime acp`: serves one editor over the standard input and output."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import closing
from typing import cast

from client.editor.servers import Servers
from errors import ConfigurationError


def serve_editor(servers: Servers, *, network: bool = True) -> None:
    """Serve until the editor closes the input; raises ConfigurationError where the streams are no pipes."""
    _check_streams()
    # Imported after the streams are known to be usable.
    from acp import Agent, run_agent

    from client.editor.agent import EditorAgent

    # Nothing but the protocol reaches the output: file descriptor 1 becomes the standard error.
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with closing(servers), closing(EditorAgent(servers, network=network)) as agent:
        # The SDK answers `session/resume` and `session/close` only with this flag.
        asyncio.run(run_agent(cast(Agent, agent), use_unstable_protocol=True))


def _check_streams() -> None:
    for stream in (sys.stdin, sys.stdout):
        mode = os.fstat(stream.fileno()).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()):
            raise ConfigurationError(
                "An editor starts this command and speaks with it over pipes; "
                "the standard input or output is something else here."
            )
