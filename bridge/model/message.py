"""The Kafka messages: values byte for byte as CTS sends them, and CloudEvents headers.

Headers follow the CloudEvents 1.0 Kafka protocol binding, section 3.2 (binary content mode).
"""

from collections.abc import Sequence
from json import dumps, loads
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from bridge.clock import exact_iso
from bridge.model.transition import Poison, Transition

EVENT_TYPE = b"us.kbase.job.transition"
#: The most bytes of a record beside key, value and headers: batch header 61, varints and
#: attributes 30.
_RECORD_OVERHEAD = 91
_HEADER_OVERHEAD = 10
#: A dead letter keeps this many characters of each field.
KEPT_CHARACTERS = 500
#: A reason starts with this if only the size is wrong. Such a dead letter contains the whole
#: transition, unless a field was truncated. Stored dead letters contain it, so it never changes.
TOO_LARGE = "the message has"

Headers = list[tuple[str, bytes]]


class Message(NamedTuple):
    """A Kafka record, before it has a partition."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    def size(self) -> int:
        """Return an upper bound of the bytes on the wire, uncompressed and alone in its batch."""
        size = len(self.key) + len(self.value) + _RECORD_OVERHEAD
        for name, value in self.headers:
            size += len(name) + len(value) + _HEADER_OVERHEAD
        return size


class Record(NamedTuple):
    """A Kafka record that was read back.

    ``timestamp`` is in Unix seconds; the topic's ``message.timestamp.type`` decides its meaning.
    """

    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def value_of(transition: Transition) -> bytes:
    """Encode the four keys with the order, separators and escapes of ``json.dumps``."""
    job_id, state, time, trans_id, _ = transition
    return (
        f'{{"job_id": {quoted(job_id)}, "state": {quoted(state)}, '
        f'"time": "{time}", "trans_id": {quoted(trans_id)}}}'
    ).encode()


def fields_of(value: bytes | None) -> dict[str, Any] | None:
    """Return the fields of a message that was read back; None if it is not a JSON object.

    Any program may have written to the topic, so any value is possible.
    """
    try:
        fields = loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def letter_fields(poison: Poison) -> dict[str, str]:
    """Return the fields of a dead letter: the known fields, and the reason as ``error_dlq``."""
    names = ("job_id", "state", "time", "trans_id")
    return {**{name: getattr(poison, name) for name in names}, "error_dlq": poison.reason}


class MessageFormat:
    """Makes the messages of a topic; constant headers are encoded once."""

    def __init__(self, topic: str, source: str, *, cloudevents: bool) -> None:
        self.topic = topic
        self.dead_letter_topic = f"{topic}-dlq"
        self._cloudevents = cloudevents
        #: The latest commit time and its header: many messages of a backlog have the same.
        self._committed: float | None = None
        self._commit_header = ("ce_committed", b"")
        self._constant = (
            ("ce_specversion", b"1.0"),
            ("ce_type", EVENT_TYPE),
            ("ce_source", _header(source)),
            ("content-type", b"application/json"),
        )

    def message(
        self, transition: Transition, origin: bytes, committed: float | None = None
    ) -> Message:
        """Make the message of ``transition``.

        Args:
            transition: What the message contains.
            origin: Becomes ``ce_origin``.
            committed: When MongoDB committed it, in Unix seconds; becomes ``ce_committed``.
        """
        key = transition.job_id.encode("utf-8", "surrogatepass")
        headers: Headers = []
        if self._cloudevents:
            headers = self._headers(
                transition.trans_id, key, transition.time, transition.sequence, origin
            )
            if committed is not None:
                if committed != self._committed:
                    self._committed = committed
                    self._commit_header = ("ce_committed", _header(exact_iso(committed)))
                headers.append(self._commit_header)
        # Half the time of Message(...).
        return tuple.__new__(Message, (self.topic, key, value_of(transition), headers))

    def dead_letter(self, poison: Poison, origin: bytes, now: float) -> Message:
        """Make the dead letter, whose fields are truncated."""
        kept = {name: text[:KEPT_CHARACTERS] for name, text in letter_fields(poison).items()}
        value = dumps(kept).encode()
        key = kept["job_id"].encode("utf-8", "replace")
        headers: Headers = []
        if self._cloudevents:
            headers = self._headers(
                kept["trans_id"] or kept["job_id"], key, exact_iso(now), poison.sequence, origin
            )
        return Message(self.dead_letter_topic, key, value, headers)

    def _headers(
        self, identity: str, key: bytes, time: str, sequence: int | None, origin: bytes
    ) -> Headers:
        headers = [
            *self._constant,
            ("ce_id", _header(identity)),
            ("ce_subject", key),
            ("ce_time", _header(time)),
            ("ce_origin", origin),
        ]
        if sequence is not None:
            headers.append(("ce_sequence", b"%d" % sequence))
        return headers


def _header(text: str) -> bytes:
    return text.encode("utf-8", "replace")
