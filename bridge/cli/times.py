"""Options that are times: ISO 8601 with a zone, or how long ago."""

from datetime import datetime, timezone

from bridge.errors import Usage
from bridge.settings import parse_when


def when(option: str, text: str) -> datetime:
    """The time ``option`` was given, as UTC. Raises ``Usage`` for one that has none or two readings."""
    try:
        return parse_when(text, datetime.now(timezone.utc))
    except ValueError as error:
        raise Usage(f"{option}: {error}") from None


def span(
    since: str | None, begin: str | None, end: str | None, default: str | None = None
) -> tuple[datetime | None, datetime]:
    """From ``--since`` or ``--from`` (None where neither is given and there is no default) to ``--to`` (now where it is missing).

    Raises ``Usage`` for both at once and for an end before the beginning.
    """
    if since is not None and begin is not None:
        raise Usage("--since and --from say the same: give one")
    asked = next((each for each in (begin, since, default) if each is not None), None)
    first = when("--from" if begin is not None else "--since", asked) if asked is not None else None
    last = when("--to", end) if end is not None else datetime.now(timezone.utc)
    if first and first > last:
        raise Usage(f"the time ends at {last.isoformat()}, before it begins at {first.isoformat()}")
    return first, last
