"""Tags of transitions in memory, and a pace for their sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bridge.errors import BridgeError
from bridge.model.transition import Poison, Transition

Item = Transition | Poison


class FakeTags:
    """Tags of transitions in memory, by job."""

    def __init__(self, *items: Item) -> None:
        self.tagged: list[Item] = list(items)
        self.asked: list[float] = []
        self.put_on: list[Item] = []
        self.looked_up: list[Sequence[Item]] = []
        self.failure: BridgeError | None = None

    def clear(self, items: Sequence[Item]) -> None:
        if self.failure is not None:
            raise self.failure
        self.tagged = [item for item in self.tagged if item not in items]

    def put(self, items: Sequence[Item]) -> None:
        self.put_on += items

    def earlier(self, items: Sequence[Item]) -> Mapping[str, Sequence[Item]]:
        self.looked_up.append(items)
        earlier: dict[str, list[Item]] = {}
        for item in items:
            before = [
                tagged
                for tagged in self.tagged
                if tagged.job_id == item.job_id and (tagged.sequence or 0) < (item.sequence or 0)
            ]
            if before:
                earlier[item.job_id] = before
        return earlier

    def pending(self, before: float) -> Iterator[Sequence[Item]]:
        self.asked.append(before)
        jobs = dict.fromkeys(item.job_id for item in self.tagged)
        return iter([[item for item in self.tagged if item.job_id == job_id] for job_id in jobs])


class FixedPace:
    """See :class:`bridge.delivery.sweeping_stream.Pace`."""

    every_seconds = 60.0
    older_than_seconds = 120.0
