"""Recognises the messages by which a topic shows since when it is complete."""

from collections.abc import Iterable
from datetime import datetime

from bridge.model.message import Record, fields_of

_FIELDS = ("job_id", "state", "time", "trans_id")
#: How far the clocks of the job service, of the producers and of this machine may differ.
_TOLERANCE_SECONDS = 3600.0


def first_send_time(records: Iterable[Record], now: float) -> float | None:
    """Return when the first message of a transition was sent, in Unix seconds; None without one.

    Records of other programs are passed over, because their timestamps may mean anything, and so
    are messages with an impossible timestamp: from the future, or older than their transition.
    """
    for record in records:
        happened = _time_of_transition(record)
        if (
            happened is not None
            and happened - _TOLERANCE_SECONDS <= record.timestamp <= now + _TOLERANCE_SECONDS
        ):
            return record.timestamp
    return None


def _time_of_transition(record: Record) -> float | None:
    """Return the time of a transition; None for a record that is not its message."""
    fields = fields_of(record.value) or {}
    if not all(isinstance(fields.get(name), str) for name in _FIELDS):
        return None
    try:
        if (
            record.key is not None
            and record.key.decode("utf-8", "surrogatepass") != fields["job_id"]
        ):
            return None
        return datetime.fromisoformat(fields["time"]).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
