"""Which partition a message goes to: that of its key, as Kafka's default partitioner has it, remembered."""

import struct
from collections.abc import Callable, Mapping
from typing import TypeVar

#: Keys that are remembered: far more jobs than are under way at once.
_MOST_KEYS = 10_000
_MASK = 0xFFFFFFFF
_MULTIPLIER, _SEED = 0x5BD1E995, 0x9747B28C

Lane = TypeVar("Lane")


class Lanes(dict[tuple[str, bytes], Lane]):
    """The lane of a topic and a key, ``lanes[topic, key]``; one for each partition, made by ``make`` with its number.

    One job is in one lane, with whichever driver: messages of a lane are written in the order of their sending.
    """

    def __init__(self, partitions: Mapping[str, int], make: Callable[[int], Lane]) -> None:
        super().__init__()
        self._lanes = {topic: [make(number) for number in range(count)] for topic, count in partitions.items()}
        self.all = [lane for lanes in self._lanes.values() for lane in lanes]

    def __missing__(self, place: tuple[str, bytes]) -> Lane:
        if len(self) >= _MOST_KEYS:
            self.clear()
        topic, key = place
        lanes = self._lanes[topic]
        lane = self[place] = lanes[(murmur2(key) & 0x7FFFFFFF) % len(lanes)]
        return lane


def murmur2(key: bytes) -> int:
    """The hash of Kafka's default partitioner (``Utils.murmur2`` of its Java client), unsigned.

    Read in words at once: several times as fast as byte by byte.
    """
    length = len(key)
    value = (_SEED ^ length) & _MASK
    for word in struct.unpack_from(f"<{length // 4}I", key):
        word = word * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        value = value * _MULTIPLIER & _MASK ^ word
    if rest := key[length & ~3 :]:
        value = (value ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15
