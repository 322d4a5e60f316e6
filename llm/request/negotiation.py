"""The search for the form of a request that a server takes, within one call of the model."""

from __future__ import annotations

from collections.abc import Collection

from llm.failure import Failure
from llm.request.fields import guessed_change, named_change


class Negotiation:
    """What is changed in the requests of one call, because of refusals of this or of an earlier one."""

    def __init__(self, known: Collection[str]) -> None:
        self.names = set(known)
        self.lasting: set[str] = set(known)
        """What is remembered when the call succeeds."""
        self.last = ""
        self.cause: Failure | None = None
        """The refusal that guessing began with; it is what the user is told when no guess helps."""

    def learn(self, failure: Failure) -> bool:
        """Change the next request after a refusal; False when there is nothing left to change."""
        if failure.refusal is None or failure.sent is None:
            return False
        status = failure.error.details.get("status")
        named = named_change(failure.refusal, failure.sent, self.names)
        guess = None
        if named is None and status in (400, 422):
            guess = guessed_change(failure.refusal, failure.sent, self.names)
        if named is None and guess is None:
            return False
        self.last = named or guess or ""
        self.names.add(self.last)
        if guess is not None:
            self.cause = self.cause or failure
        if named is not None or guess != "no_tools":
            self.lasting.add(self.last)
        return True
