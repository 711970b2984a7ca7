"""Where the messages after a position start in a topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TopicOffsets:
    """Offsets that belong to a position of the change stream.

    Attributes:
        topic_id: Kafka's id of the topic, which changes when the topic is created again; empty if
            the broker has no ids.
        by_partition: No message of a later position has a smaller offset than this. A partition
            that is not here is not known.
    """

    topic_id: str
    by_partition: Mapping[int, int]

    def updated(self, acknowledged: Mapping[int, int]) -> "TopicOffsets":
        """Return these offsets with the later ones of ``acknowledged``."""
        return TopicOffsets(self.topic_id, {**self.by_partition, **acknowledged})

    def of_topic(self, topic_id: str) -> "TopicOffsets":
        """Return these offsets if they belong to the topic with this id; else no offsets."""
        return self if self.topic_id == topic_id else TopicOffsets(topic_id, {})

    def record(self) -> dict[str, Any]:
        """Return the offsets as a checkpoint stores them: keys are text."""
        return {
            "topic_id": self.topic_id,
            "by_partition": {str(number): offset for number, offset in self.by_partition.items()},
        }


def topic_offsets_of(record: object, sequence: int) -> TopicOffsets | None:
    """Read stored offsets back; None if there are none of this save, or a program damaged them.

    Without offsets the topic is read back by time, so damage costs time and nothing else.

    Args:
        record: The stored offsets.
        sequence: The sequence of the save.
    """
    try:
        if record["sequence"] != sequence:  # type: ignore[index]
            return None
        topic_id, stored = record["topic_id"], record["by_partition"]  # type: ignore[index]
        offsets = {int(number): int(offset) for number, offset in stored.items()}
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        return None
    if not isinstance(topic_id, str) or any(offset < 0 for offset in offsets.values()):
        return None
    return TopicOffsets(topic_id, offsets)
