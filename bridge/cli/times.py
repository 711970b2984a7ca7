"""Times as the commands print them."""

from datetime import datetime, timezone


def iso(seconds: float) -> str:
    """Return Unix seconds as an ISO 8601 time in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
