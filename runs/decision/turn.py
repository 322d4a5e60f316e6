"""The start of a new turn: the user's message is journaled in a run that claims the session."""

from __future__ import annotations

from collections.abc import Sequence

from runs.decision.effects import Effects, StartRun
from runs.decision.view import Request, Terms, View
from storage.messages import MessageRecord
from storage.sessions import Session
from wire.protocol import Chunk, Error, error_chunk

TITLE_CHARS = 500


def start_turn(
    view: View,
    request: Request,
    content: str,
    *,
    agent: str,
    chosen_by: str,
    previous_agent: str = "orchestrator",
    chunks: Sequence[Chunk] = (),
) -> Effects:
    """Claim the session for a new run; `previous_agent` is whom the router names when it chooses another one."""
    journal = {
        "content": content,
        "message_id": request.message_id,
        "agent": agent,
        "chosen_by": chosen_by,
        "previous_agent": previous_agent,
        # A run that ended without its last checkpoint leaves a thread that lacks messages of the history.
        "repair": view.run is not None or view.last_status not in (None, "completed"),
    }
    said = MessageRecord(request.message_id, "user", content, run_id=request.run_id)
    return Effects(claims=StartRun(journal), messages=(said,), chunks=tuple(chunks), request_id=request.request_id)


def too_long(session: Session, terms: Terms) -> Error | None:
    """The refusal of a message beyond MAX_MESSAGES (section 10)."""
    if session.message_count < terms.max_messages:
        return None
    sentence = f"This session has reached its limit of {terms.max_messages} messages; start a new one."
    return error_chunk("limit_reached", sentence, limit="max_messages")


def title_of(session: Session, content: str) -> str | None:
    """The title that the first message of a session gives it: its first line."""
    return None if session.message_count else content.strip().splitlines()[0].strip()[:TITLE_CHARS]
