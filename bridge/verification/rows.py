"""Makes the rows of a comparison from jobs and from records of the topics."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bridge.clock import unix_time
from bridge.model.job_history import JobHistory
from bridge.model.message import Record, fields_of
from bridge.model.transition import Poison, Transition, is_made_of, made_trans_id
from bridge.verification.database import DeadLettered, Expected, Received

_NAMES = ("job_id", "state", "time", "trans_id")


class Span(NamedTuple):
    """A time span of transitions: from ``since`` to ``until``, in Unix seconds, inclusive."""

    since: float
    until: float

    def contains(self, moment: float | None) -> bool:
        return moment is not None and self.since <= moment <= self.until


class Rows:
    """Makes rows for a time span.

    Args:
        span: The transitions that are compared, by their own times.
        by_state: Whether jobs have no history.
    """

    def __init__(self, span: Span, *, by_state: bool) -> None:
        self._span = span
        self._by_state = by_state

    def expected(self, job: JobHistory, *, required: bool) -> Iterator[Expected]:
        """Yield a row for each transition that can be recognised in the topic.

        Those outside of the span are not compared; they explain messages with altered times.
        """
        for item in job.items:
            identity = self._identity(item)
            letter = self._letter(item.state, item.time, item.trans_id)
            if not item.job_id or not (identity or self._by_state):
                continue
            moment = unix_time(item.time)
            yield Expected(
                plain(item.job_id),
                plain(identity),
                self._made(item),
                plain(letter),
                item.sequence,
                plain(item.state),
                plain(item.time),
                plain(item.trans_id),
                plain(item.reason) if isinstance(item, Poison) else "",
                plain(job.document),
                bool(identity) and self._span.contains(moment),
                required,
                moment,
            )

    def received(self, record: Record) -> Received:
        """Return the row of a message.

        Without a usable identity, it has the time when it was written, and matches no job.
        """
        fields = _fields(record)
        job, state, time, trans_id = (fields.get(name, "") for name in _NAMES)
        written = (record.partition, record.offset, record.timestamp, _committed(record))
        if not trans_id:
            place = f"{record.partition}:{record.offset}"
            in_span = self._span.contains(record.timestamp)
            return Received("?", place, place, *written, "unreadable", "", in_span, False)
        moment = unix_time(time)
        remark = self._remark(record, job, state, time, trans_id)
        return Received(
            job,
            trans_id,
            state if self._by_state else trans_id,
            *written,
            state,
            time,
            self._span.contains(record.timestamp if moment is None else moment),
            not remark,
            remark,
        )

    def dead_lettered(self, record: Record) -> DeadLettered:
        """Return the row of a dead letter; without a time, the time when it was written counts."""
        fields = _fields(record)
        job, state, time, trans_id = (fields.get(name, "") for name in _NAMES)
        identity, moment = self._letter(state, time, trans_id), unix_time(time)
        in_span = self._span.contains(record.timestamp if moment is None else moment)
        # The words keep it apart from the partition and offset of an unreadable message.
        return DeadLettered(
            job or "?",
            identity or f"dead letter {record.partition}:{record.offset}",
            state,
            time,
            in_span,
        )

    def _identity(self, item: Transition | Poison) -> str:
        """Return the identity of an item; empty if it has too few fields to be recognised."""
        return item.trans_id or self._letter(item.state, item.time, "")

    def _letter(self, state: str, time: str, trans_id: str) -> str:
        """Return the identity of a dead letter; empty without fields."""
        if self._by_state:
            return state
        return trans_id or (f"{state} at {time}" if state and time else "")

    def _made(self, item: Transition | Poison) -> str:
        """Return the identity of a message sent before the document contained an identity."""
        if item.sequence is None or isinstance(item, Poison):
            return ""
        return made_trans_id(item.job_id, item.time, item.state, item.sequence)

    def _remark(self, record: Record, job: str, state: str, time: str, trans_id: str) -> str:
        """Say why a message cannot be right, whatever its job contains; empty if it can."""
        # The job service's own sender writes no key.
        if record.key is not None and record.key != job.encode("utf-8", "surrogatepass"):
            return f", key {record.key.decode('utf-8', 'replace')!r:.100}"
        # Without a history, the identity is made from the other fields.
        if self._by_state and not is_made_of(trans_id, job, time, state):
            return ", its trans_id is not of these fields"
        return ""


def _committed(record: Record) -> float | None:
    """Return the commit time that a message contains, in Unix seconds."""
    text = dict(record.headers).get("ce_committed") or b""
    return unix_time(text.decode("utf-8", "replace"))


def _fields(record: Record) -> dict[str, str]:
    """Return those of the four fields that a message contains, as text.

    Any program may have written the message, so any content is possible.
    """
    value = fields_of(record.value) or {}
    try:
        return {name: _field(value[name]) for name in _NAMES if name in value}
    except RecursionError:  # The C parser reads deeper nesting than Python can print.
        return {}


def _field(value: Any) -> str:
    """Return a field as text, so that a number or null does not equal the text of it."""
    return plain(value) if isinstance(value, str) else plain(f"{type(value).__name__} {value}")


def plain(text: str) -> str:
    """Return text that SQLite can store: JSON may contain half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()
