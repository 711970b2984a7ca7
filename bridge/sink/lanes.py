"""Which partition a message goes to: that of its key, as Kafka's default partitioner has it, remembered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from bridge.sink.murmur2 import murmur2

#: Keys that are remembered: far more jobs than are under way at once.
_MOST_KEYS = 10_000

Lane = TypeVar("Lane")
#: A topic and a key.
Place = tuple[str, bytes]


class Lanes(Generic[Lane]):
    """The lane of a topic and a key; one for each partition, made by ``make`` with topic and number.

    One job is in one lane, with whichever driver: messages of a lane are written in the order of their sending.
    """

    def __init__(self, partitions: Mapping[str, int], make: Callable[[str, int], Lane]) -> None:
        self._lanes = {topic: [make(topic, number) for number in range(count)] for topic, count in partitions.items()}
        self._known: dict[Place, Lane] = {}
        self.all = [lane for lanes in self._lanes.values() for lane in lanes]

    def of(self, places: Sequence[Place]) -> list[Lane]:
        """The lane of each place, in their order."""
        known = self._known
        try:
            return [known[place] for place in places]
        except KeyError:
            if len(known) + len(places) > _MOST_KEYS:
                known.clear()
            self._find([place for place in dict.fromkeys(places) if place not in known])
        return [known[place] for place in places]

    def _find(self, places: Sequence[Place]) -> None:
        for place, number in zip(places, murmur2([key for _, key in places]), strict=True):
            lanes = self._lanes[place[0]]
            self._known[place] = lanes[(number & 0x7FFFFFFF) % len(lanes)]
