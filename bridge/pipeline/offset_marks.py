"""Finds the offsets that belong to the settled position."""

from bridge.model.position import Position
from bridge.model.sent import SentPositions
from bridge.model.topic_offsets import TopicOffsets
from bridge.pipeline.ports import AcknowledgedOffsets


class OffsetMarks:
    """Finds offsets below which the topic has no message of a position after the settled one.

    A mark is the offsets that Kafka had acknowledged at some moment, with the highest position of
    which the topic could have a message by then. Later messages have larger offsets. So once the
    settled position reaches that of the mark, the mark's offsets belong to it. This costs nothing
    for a message, and the offsets are at most two saves old.

    Args:
        stored: The offsets of the checkpoint; None if it has none.
        sent: The positions that were handed to a sink.
    """

    def __init__(self, stored: TopicOffsets | None, sent: SentPositions) -> None:
        self.confirmed = stored
        self._sent = sent
        self._sink: AcknowledgedOffsets | None = None
        self._mark: tuple[Position, TopicOffsets] | None = None

    def open_session(
        self,
        sink: AcknowledgedOffsets,
        ends: TopicOffsets | None = None,
        until: Position | None = None,
    ) -> None:
        """Start a session.

        Args:
            sink: The sink of the session.
            ends: The ends of the topic, if it was read back.
            until: Whatever the topic had by then belongs to positions up to this.
        """
        self._sink = sink
        self.confirmed = self.of_topic(sink.topic_id)
        self._mark = None if ends is None or until is None else (until, ends)

    def of_topic(self, topic_id: str) -> TopicOffsets:
        """Return the confirmed offsets that are of the topic with this id."""
        known = self.confirmed or TopicOffsets(topic_id, {})
        return known.of_topic(topic_id)

    def at(self, position: Position) -> TopicOffsets | None:
        """Return the offsets that belong to the settled ``position``; None while none are known."""
        if self._sink is None:
            return self.confirmed
        known = self.of_topic(self._sink.topic_id)
        if self._mark is not None:
            reached, offsets = self._mark
            # A recovery that ended after the mark was made has sent messages of later positions.
            if position < max(reached, self._sent.others):
                return self.confirmed
            known = self.confirmed = known.updated(offsets.by_partition)
        self._mark = self._sent.reach, known.updated(self._sink.offsets())
        return self.confirmed
