"""`agent-runtime acp`: serves one editor over the standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import closing
from typing import cast

from acp import Agent, run_agent

from client.editor.agent import EditorAgent
from client.editor.servers import Servers


def serve_editor(servers: Servers, *, network: bool = True) -> None:
    """Serve until the editor closes the input; nothing but the protocol reaches the standard output."""
    # What a library prints must not end in the protocol: file descriptor 1 becomes the standard error.
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with closing(servers), closing(EditorAgent(servers, network=network)) as agent:
        # The SDK answers `session/resume` and `session/close` only with this flag.
        asyncio.run(run_agent(cast(Agent, agent), use_unstable_protocol=True))
