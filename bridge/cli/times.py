"""Times: options, and as they are printed."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bridge.clock import iso
from bridge.errors import Usage
from bridge.settings import parse_when

#: The Unix times of ``/status.json`` and of a stored checkpoint, where they are numbers.
_TIMES = {"first", "last", "saved_at", "since", "until", "recent", "back_to"}


def when(option: str, text: str) -> datetime:
    """Return the time that ``option`` was given, as UTC; raises ``Usage`` for other text."""
    try:
        return parse_when(text, datetime.now(timezone.utc))
    except ValueError as error:
        raise Usage(f"{option}: {error}") from None


def span(
    since: str | None, begin: str | None, end: str | None, default: str | None = None
) -> tuple[datetime | None, datetime]:
    """Return the time span that the options give.

    It starts at ``--since`` or ``--from`` (None without both and without a default), and ends at
    ``--to`` (without it: now). Raises ``Usage`` for both starts, and for an end before the start.
    """
    if since is not None and begin is not None:
        raise Usage("--since and --from have the same meaning: give only one")
    start = next((text for text in (begin, since, default) if text is not None), None)
    first = when("--from" if begin is not None else "--since", start) if start is not None else None
    last = when("--to", end) if end is not None else datetime.now(timezone.utc)
    if first and first > last:
        raise Usage(
            f"the time span ends at {last.isoformat()}, before it starts at {first.isoformat()}"
        )
    return first, last


def with_iso_times(value: Any) -> Any:
    """Return a JSON value whose Unix times are ISO 8601; metrics keep the unit of their names."""
    if isinstance(value, Mapping):
        return {name: _iso(name, inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_iso_times(inner) for inner in value]
    return value


def _iso(name: str, value: Any) -> Any:
    if name in _TIMES and isinstance(value, (int, float)):
        return iso(value) if value else None  # Early versions stored no time as 0.
    return with_iso_times(value)
