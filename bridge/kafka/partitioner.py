"""Which partition a message goes to: that of its key, as Kafka's default partitioner has it, remembered."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from bridge.kafka.murmur2 import murmur2
from bridge.model.window import Sending

#: Keys that are remembered: far more jobs than are under way at once.
_MOST_KEYS = 10_000

Lane = TypeVar("Lane")
#: A topic and a key.
Target = tuple[str, bytes]


class Partitioner(Generic[Lane]):
    """The lane of a topic and a key; one for each partition, made by ``make`` with topic and number.

    One job is in one lane, with whichever driver: messages of a lane are written in the order of their sending.
    """

    def __init__(self, partitions: Mapping[str, int], make: Callable[[str, int], Lane]) -> None:
        self._lanes = {
            topic: [make(topic, number) for number in range(count)]
            for topic, count in partitions.items()
        }
        self._known: dict[Target, Lane] = {}
        self.all = [lane for lanes in self._lanes.values() for lane in lanes]

    def of(self, targets: Sequence[Target]) -> list[Lane]:
        """The lane of each target, in their order."""
        known = self._known
        try:
            return [known[target] for target in targets]
        except KeyError:
            if len(known) + len(targets) > _MOST_KEYS:
                known.clear()
            self._find([target for target in dict.fromkeys(targets) if target not in known])
        return [known[target] for target in targets]

    def together(self, sendings: Sequence[Sending]) -> Mapping[Lane, list[Sending]]:
        """What goes to each lane, in its order, to be handed over in a row.

        A client begins to send with the first message it gets: of messages in a row it makes fewer and larger requests.
        """
        lanes = self.of([message[:2] for message, _ in sendings])
        found = defaultdict[Lane, list[Sending]](list)
        for lane, sending in zip(lanes, sendings, strict=True):
            found[lane].append(sending)
        return found

    def _find(self, targets: Sequence[Target]) -> None:
        for target, number in zip(targets, murmur2([key for _, key in targets]), strict=True):
            lanes = self._lanes[target[0]]
            self._known[target] = lanes[(number & 0x7FFFFFFF) % len(lanes)]
