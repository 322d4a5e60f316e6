"""What can go wrong in one attempt to call a model, before it is known whether there will be another attempt."""

from errors import ContextTooLong, ModelBadReply, ModelError, ModelTimeout, ModelUnavailable

_SENTENCES = {
    400: "The language model refused this request.",
    401: "The language model refused the credentials of this server.",
    403: "The language model refused the credentials of this server.",
    404: "The language model does not exist at the configured address.",
    429: "The language model is busy. Please try again in a while.",
}
_TOO_LONG_SIGNS = (
    "exceed_context_size",
    "context_length_exceeded",
    "context length",
    "context window",
    "contextwindow",
    "available context size",
    "prompt is too long",
    "input tokens exceed",
)


class Failure(Exception):
    """One failed attempt: the error to raise in the end, and what another attempt may hope for."""

    def __init__(
        self, error: ModelError, *, again: bool, retry_after_s: float | None = None, refusal: str | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        """Whether the same request may be sent once more (protocol S25)."""
        self.retry_after_s = retry_after_s
        self.refusal = refusal
        """The lower-case body of an HTTP 400 that speaks of the request's form, else None."""


def is_too_long(said: str) -> bool:
    """Whether an error's text says that the request does not fit the model's context."""
    return any(sign in said.lower() for sign in _TOO_LONG_SIGNS)


def unreadable(what: str) -> Failure:
    """Say that the reply cannot be used; `what` is for the log, not for the user."""
    return Failure(ModelBadReply(None, reason=what), again=True)


def unreachable() -> Failure:
    """Say that the connection failed or broke."""
    return Failure(ModelUnavailable(), again=True)


def too_slow() -> Failure:
    """Say that the attempt took longer than it may."""
    return Failure(ModelTimeout(), again=True)


def refused(status: int, body: str, retry_after_s: float | None = None) -> Failure:
    """Translate an HTTP status (of the reply, or written in an error inside its body) into a failure."""
    said = body.lower()
    if status in {400, 413, 422} and is_too_long(said):
        return Failure(ContextTooLong(None, status=status), again=False)
    if status == 408:
        return Failure(ModelTimeout(None, status=status), again=True, retry_after_s=retry_after_s)
    return Failure(
        ModelUnavailable(_SENTENCES.get(status), status=status),
        again=status == 429 or status >= 500,
        retry_after_s=retry_after_s,
        refusal=said if status == 400 else None,
    )
