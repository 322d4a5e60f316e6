"""Times in the form of the tables and the wire."""

from datetime import UTC, datetime, timedelta


def stamp(moment: datetime | None = None) -> str:
    """An aware UTC time as ISO 8601 with microseconds and `+00:00`, which sorts as text."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")


def stamp_in(hours: float) -> str:
    """The time so many hours from now; negative for the past."""
    return stamp(datetime.now(UTC) + timedelta(hours=hours))
