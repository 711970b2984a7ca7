"""Times as people give them: ISO 8601 with a zone, or how long ago."""

import re
from datetime import datetime, timedelta, timezone

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time with a zone, as UTC; ``ValueError`` names what is missing, and the two readings of a time without zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no ISO 8601 time such as 2026-03-02T18:04:11+00:00") from None
    if moment.tzinfo is None:
        utc, local = moment.replace(tzinfo=timezone.utc).isoformat(), moment.astimezone().isoformat()
        raise ValueError(f"{text!r} has no zone: write {utc} for UTC, or {local} for this machine's local time")
    return moment.astimezone(timezone.utc)


def parse_duration(text: str) -> timedelta:
    """Read ``90m``, ``24h``, ``7d`` and the like (s, m, h, d, w; ``1h30m`` too); ``ValueError`` otherwise."""
    if not re.fullmatch(r"(\d+(\.\d+)?[smhdw])+", text):
        raise ValueError(f"{text!r} is no duration such as 90m, 24h or 7d")
    try:
        return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhdw])", text)), timedelta())
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration") from None


def parse_when(text: str, now: datetime) -> datetime:
    """Read a time, or a duration as so long before ``now``, as UTC; ``ValueError`` otherwise."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1") from None
    try:
        return parse_time(text)
    except ValueError as error:
        also = "" if "has no zone" in str(error) else ", and no duration such as 90m, 24h or 7d"
        raise ValueError(f"{error}{also}") from None
