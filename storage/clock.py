"""Times as the tables and the wire write them."""

from datetime import UTC, datetime, timedelta


def stamp(moment: datetime | None = None) -> str:
    """An aware UTC time as ISO 8601 with microseconds and `+00:00`: sorts as text, travels as it is."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def stamp_in(hours: float) -> str:
    """The time that many hours from now; negative hours lie in the past."""
    return stamp(datetime.now(UTC) + timedelta(hours=hours))
