"""Options that are times: ISO 8601 with a zone, or how long ago."""

from datetime import datetime, timezone

from bridge.config import parse_when
from bridge.errors import Usage


def when(option: str, text: str) -> datetime:
    """The time ``option`` was given, as UTC. Raises ``Usage`` for one that has none or two readings."""
    try:
        return parse_when(text, datetime.now(timezone.utc))
    except ValueError as error:
        raise Usage(f"{option}: {error}") from None


def span(since: str | None, begin: str | None, end: str | None, default: str | None = None) -> tuple[datetime, datetime] | None:
    """From ``--since``, or ``--from`` to ``--to`` (now where it is missing); None where none is given and there is no default.

    Raises ``Usage`` for both at once and for an end before the beginning.
    """
    if since and begin:
        raise Usage("--since and --from say the same: give one")
    first = begin or since or default
    if first is None:
        if end:
            raise Usage("--to needs --from")
        return None
    found = when("--from" if begin else "--since", first), when("--to", end) if end else datetime.now(timezone.utc)
    if found[0] > found[1]:
        raise Usage(f"the time ends at {found[1].isoformat()}, before it begins at {found[0].isoformat()}")
    return found
