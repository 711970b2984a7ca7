"""Times and durations as people write them: ISO 8601 with a zone, or a duration ago."""

import re
from datetime import datetime, timedelta, timezone

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(\d+(\.\d+)?[smhdw])+")
#: A century. A longer duration is a slip, and threads cannot wait much longer.
_LONGEST = timedelta(days=36500)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time with a zone, as UTC.

    Raises ``ValueError`` for other text; without a zone, it contains both possible meanings.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an ISO 8601 time such as 2026-03-02T18:04:11+00:00"
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
    except (OverflowError, ValueError, OSError):
        # At either end of the calendar the system has no local time.
        return utc


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``90m``, ``24h``, ``7d`` or ``1h30m``.

    The units are s, m, h, d and w. Raises ``ValueError`` for other text, and above 36500 days.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 90m, 24h or 7d")
    try:
        duration = sum(
            (
                timedelta(**{_UNITS[unit]: float(number)})
                for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhdw])", text)
            ),
            timedelta(),
        )
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is too long a duration: {_LONGEST.days}d at most")
    return duration


def parse_when(text: str, now: datetime) -> datetime:
    """Read a time, or a duration before ``now``, as UTC; raises ``ValueError`` for other text."""
    if _DURATION.fullmatch(text):
        return now - parse_duration(text)
    try:
        return parse_time(text)
    except ValueError as error:
        also = "" if "has no zone" in str(error) else ", nor a duration such as 90m, 24h or 7d"
        raise ValueError(f"{error}{also}") from None
