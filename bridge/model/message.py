"""How a transition looks in Kafka: the value CTS sends, byte for byte, and CloudEvents headers.

The headers are those of the CloudEvents 1.0 Kafka protocol binding in binary content mode.
"""

from collections.abc import Sequence
from datetime import datetime, timezone
from json import dumps, loads
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from bridge.model.transition import Poison, Transition

EVENT_TYPE = b"us.kbase.job.transition"
#: What a record costs beside key, value and headers, at most: batch header 61, varints and attributes 30.
_RECORD_OVERHEAD = 91
_HEADER_OVERHEAD = 10
#: The longest text of a field that a dead letter repeats.
KEPT = 500
#: How the reason begins where nothing but the size is wrong: then the letter has a whole transition, unless it was shortened.
TOO_LARGE = "the message has"

Headers = list[tuple[str, bytes]]


class Message(NamedTuple):
    """One Kafka record, before it has a partition."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers

    def size(self) -> int:
        """Bytes it takes on the wire, uncompressed and alone in its batch; never too few."""
        size = len(self.key) + len(self.value) + _RECORD_OVERHEAD
        for name, value in self.headers:
            size += len(name) + len(value) + _HEADER_OVERHEAD
        return size


class Record(NamedTuple):
    """One Kafka record as it was read back. ``timestamp`` is Unix seconds, by the topic's kind of timestamp."""

    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def value_of(transition: Transition) -> bytes:
    """Encode the four keys as ``json.dumps`` does by default: order, separators, ASCII escapes."""
    job_id, state, time, trans_id, _ = transition
    return (
        f'{{"job_id": {quoted(job_id)}, "state": {quoted(state)}, "time": "{time}", "trans_id": {quoted(trans_id)}}}'
    ).encode()


def fields_of(value: bytes | None) -> dict[str, Any] | None:
    """The fields of a message that was read back; None where it has none: anybody may have written it, and anything."""
    try:
        read = loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


class MessageFormat:
    """Makes messages for one topic; headers that never change are encoded once."""

    def __init__(self, topic: str, source: str, *, cloudevents: bool) -> None:
        self.topic = topic
        self.dead_letter_topic = f"{topic}-dlq"
        self._cloudevents = cloudevents
        self._constant = (
            ("ce_specversion", b"1.0"),
            ("ce_type", EVENT_TYPE),
            ("ce_source", _header(source)),
            ("content-type", b"application/json"),
        )

    def message(self, transition: Transition, origin: bytes) -> Message:
        """Make the message of ``transition``; ``origin`` says how it was found (``stream``, ...)."""
        key = transition.job_id.encode("utf-8", "surrogatepass")
        headers: Headers = []
        if self._cloudevents:
            headers = self._headers(
                transition.trans_id, key, transition.time, transition.sequence, origin
            )
        return tuple.__new__(
            Message, (self.topic, key, value_of(transition), headers)
        )  # half the time of Message(...)

    def dead_letter(self, poison: Poison, origin: bytes, now: float) -> Message:
        """Make the dead letter: what is known of the transition, shortened, and ``error_dlq``."""
        kept = {
            name: getattr(poison, name)[:KEPT] for name in ("job_id", "state", "time", "trans_id")
        }
        value = dumps({**kept, "error_dlq": poison.reason[:KEPT]}).encode()
        key = kept["job_id"].encode("utf-8", "replace")
        headers: Headers = []
        if self._cloudevents:
            time = datetime.fromtimestamp(now, timezone.utc).isoformat()
            headers = self._headers(
                kept["trans_id"] or kept["job_id"], key, time, poison.sequence, origin
            )
        return Message(self.dead_letter_topic, key, value, headers)

    def _headers(
        self, identity: str, key: bytes, time: str, sequence: int | None, origin: bytes
    ) -> Headers:
        own = [
            *self._constant,
            ("ce_id", _header(identity)),
            ("ce_subject", key),
            ("ce_time", _header(time)),
            ("ce_origin", origin),
        ]
        if sequence is not None:
            own.append(("ce_sequence", b"%d" % sequence))
        return own


def _header(text: str) -> bytes:
    return text.encode("utf-8", "replace")
