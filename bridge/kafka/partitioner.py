"""Kafka's default partitioner, with a cache."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from bridge.kafka.murmur2 import murmur2
from bridge.model.window import Sending

#: Size of the cache: many times the number of jobs that are active at once.
_MAX_KEYS = 10_000

Partition = TypeVar("Partition")
#: A topic and a key.
Target = tuple[str, bytes]


class Partitioner(Generic[Partition]):
    """Maps topic and key to a partition, the same with both drivers.

    Args:
        counts: The number of partitions of each topic.
        make: Makes the object that stands for a partition, from topic and number.
    """

    def __init__(self, counts: Mapping[str, int], make: Callable[[str, int], Partition]) -> None:
        self._by_topic = {
            topic: [make(topic, number) for number in range(count)]
            for topic, count in counts.items()
        }
        self._known: dict[Target, Partition] = {}
        self.partitions = [
            partition for partitions in self._by_topic.values() for partition in partitions
        ]

    def assign(self, targets: Sequence[Target]) -> list[Partition]:
        """Return the partition of each target, in the order of ``targets``."""
        known = self._known
        try:
            return [known[target] for target in targets]
        except KeyError:
            if len(known) + len(targets) > _MAX_KEYS:
                known.clear()
            self._add([target for target in dict.fromkeys(targets) if target not in known])
        return [known[target] for target in targets]

    def group(self, sendings: Sequence[Sending]) -> Mapping[Partition, list[Sending]]:
        """Group messages by partition; the order within a partition is kept.

        A client starts to send with the first message it gets. Handing over each partition's
        messages in a row leads to fewer and larger requests.
        """
        partitions = self.assign([message[:2] for message, _ in sendings])
        groups = defaultdict[Partition, list[Sending]](list)
        for partition, sending in zip(partitions, sendings, strict=True):
            groups[partition].append(sending)
        return groups

    def _add(self, targets: Sequence[Target]) -> None:
        hashes = murmur2([key for _, key in targets])
        for target, key_hash in zip(targets, hashes, strict=True):
            partitions = self._by_topic[target[0]]
            self._known[target] = partitions[(key_hash & 0x7FFFFFFF) % len(partitions)]
