"""Times as people give them: ISO 8601 with a zone, or how long ago."""

import re
from datetime import datetime, timedelta, timezone

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+(\.\d+)?[smhdw])+")
#: A century: what is longer is a slip, and threads cannot wait much longer.
_LONGEST = timedelta(days=36500)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time with a zone, as UTC; ``ValueError`` names what is missing, and the two readings of a time without zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no ISO 8601 time such as 2026-03-02T18:04:11+00:00"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write {_readings(moment)}")
    try:
        return moment.astimezone(timezone.utc)
    except (OverflowError, ValueError):
        raise ValueError(f"{text!r} is outside of the years 1 to 9999 in UTC") from None


def _readings(moment: datetime) -> str:
    utc = f"{moment.replace(tzinfo=timezone.utc).isoformat()} for UTC"
    try:
        return f"{utc}, or {moment.astimezone().isoformat()} for this machine's local time"
    except (
        OverflowError,
        ValueError,
        OSError,
    ):  # at either end of the calendar the system knows no local time
        return utc


def parse_duration(text: str) -> timedelta:
    """Read ``90m``, ``24h``, ``7d`` and the like (s, m, h, d, w; ``1h30m`` too), up to 36500 days; ``ValueError`` otherwise."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 90m, 24h or 7d")
    try:
        found = sum(
            (
                timedelta(**{_UNITS[unit]: float(number)})
                for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhdw])", text)
            ),
            timedelta(),
        )
    except OverflowError:
        found = timedelta.max
    if found > _LONGEST:
        raise ValueError(f"{text!r} is too long a duration: {_LONGEST.days}d at most")
    return found


def parse_when(text: str, now: datetime) -> datetime:
    """Read a time, or a duration as so long before ``now``, as UTC; ``ValueError`` otherwise."""
    if _DURATION.fullmatch(text):
        return now - parse_duration(text)
    try:
        return parse_time(text)
    except ValueError as error:
        also = "" if "has no zone" in str(error) else ", and no duration such as 90m, 24h or 7d"
        raise ValueError(f"{error}{also}") from None
