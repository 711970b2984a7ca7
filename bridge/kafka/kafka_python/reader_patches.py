"""The private parts of kafka-python's consumer that the bridge changes.

Any program may write a record whose header names are not UTF-8. kafka-python raises for it, at each
attempt again, so its consumer never gets past the record.
:func:`bridge.kafka.kafka_python.patches.require_supported_version` checks the names.
"""

from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from bridge.kafka.kafka_python.debug_log import at_debug

_ATTRIBUTES_BYTES = 1


class _RecordBatch(DefaultRecordBatch):  # type: ignore[misc]  # it has no types
    """A batch of records, in which a record with such a name has no headers."""

    def _read_msg(self) -> Any:
        start = self._pos
        try:
            return super()._read_msg()
        except UnicodeDecodeError:
            return self._without_headers(start)

    def _without_headers(self, start: int) -> Any:
        """Read the record that begins at ``start``, in the form of Kafka's message format v2."""
        length, begin = decode_varint(self._buffer, start)
        self._pos = begin + length
        milliseconds, place = decode_varint(self._buffer, begin + _ATTRIBUTES_BYTES)
        offset, place = decode_varint(self._buffer, place)
        key, place = _nullable(self._buffer, place)
        value, _ = _nullable(self._buffer, place)
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        return DefaultRecord(
            length,
            self.base_offset + offset,
            self.max_timestamp if appended else self.first_timestamp + milliseconds,
            self.timestamp_type,
            key,
            value,
            [],
        )


def _nullable(buffer: bytes, place: int) -> tuple[bytes | None, int]:
    """Return the bytes at ``place``, None for null, and the place after them."""
    length, begin = decode_varint(buffer, place)
    if length < 0:
        return None, begin
    return bytes(buffer[begin : begin + length]), begin + length


#: A consumer that reads every record.
TolerantConsumer = at_debug(
    KafkaConsumer,
    Fetcher=at_debug(
        Fetcher,
        MemoryRecords=at_debug(MemoryRecords, DefaultRecordBatch=_RecordBatch),
    ),
)
