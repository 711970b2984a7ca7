"""Judges a run: what was committed against what arrived, and every stored position against what was there by then."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.demo.simulator import Commit
from tests.acceptance.witness import Save, Transition
from tests.servers.records import Record

#: The stored position is at most so old: the default interval, and as much for a busy machine.
CHECKPOINT_SECONDS = 2.0
#: What a killed process left in its sockets may still be appended for so long.
AFTERLIFE_SECONDS = 1.0
#: How many of each kind a message names.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record of the topic; ``at`` is when the broker appended it, Unix milliseconds."""

    job_id: str
    trans_id: str
    state: str
    key: str
    partition: int
    at: int


def arrivals(records: Iterable[Record]) -> list[Arrival]:
    """What the records say. The topic's timestamps must be those of appending."""
    found = []
    for record in records:
        value = json.loads(record.value or b"{}")
        key = (record.key or b"").decode()
        found.append(
            Arrival(value["job_id"], value["trans_id"], value["state"], key, record.partition, record.timestamp)
        )
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a run; each list names what is wrong."""

    committed: int
    arrived: Sequence[Arrival]
    saves: int
    lost: Sequence[str]
    strange: Sequence[str]
    reordered: Sequence[str]
    ahead: Sequence[str]

    @property
    def repeated(self) -> int:
        """Messages beyond the first of each transition."""
        return len(self.arrived) - len({each.trans_id for each in self.arrived})

    def within(self, deaths: Iterable[float], seconds: float = CHECKPOINT_SECONDS) -> int:
        """How many messages arrived in the last ``seconds`` of each life: no more may be sent again."""
        ends = [1000 * death for death in deaths]
        early, late = 1000 * seconds, 1000 * AFTERLIFE_SECONDS
        return sum(any(end - early <= each.at <= end + late for end in ends) for each in self.arrived)

    def check(self, *, repeated_at_most: int, at_least: int = 100, saves_at_least: int = 1) -> None:
        """Fail unless nothing is lost, reordered or remembered too early, and little repeated.

        ``at_least`` transitions must have been committed and ``saves_at_least`` positions stored: a run in
        which nothing happened proves nothing.
        """
        problems = [
            f"{len(found)} {name}: {'; '.join(found[:EXAMPLES])}"
            for name, found in (
                ("lost", self.lost), ("never committed as sent", self.strange), ("out of order", self.reordered),
                ("stored positions ahead of what was delivered", self.ahead),
            )
            if found
        ]
        if self.repeated > repeated_at_most:
            problems.append(f"{self.repeated} repeated, where {repeated_at_most} are allowed")
        if self.committed < at_least:
            problems.append(f"only {self.committed} transitions were committed, {at_least} are needed")
        if self.saves < saves_at_least:
            problems.append(f"only {self.saves} positions were stored, {saves_at_least} are needed")
        assert not problems, f"of {self.committed} transitions, {len(self.arrived)} messages: " + "\n".join(problems)


def judge(
    committed: Sequence[Transition], acknowledged: Iterable[Commit], saves: Sequence[Save], arrived: Sequence[Arrival]
) -> Verdict:
    """Compare. ``committed`` is in stream order; ``acknowledged`` is what the writer was told."""
    there = {each.trans_id for each in arrived}
    known = {each.trans_id for each in committed}
    unseen = [each.trans_id for each in acknowledged if each.trans_id not in known]
    assert not unseen, f"the witness missed {len(unseen)} acknowledged transitions, it cannot judge"
    return Verdict(
        committed=len(known),
        arrived=arrived,
        saves=len(saves),
        lost=[f"{each.job_id} {each.state} {each.trans_id}" for each in committed if each.trans_id not in there],
        strange=_strange(committed, arrived),
        reordered=_reordered(committed, arrived),
        ahead=_ahead(committed, saves, arrived),
    )


def _strange(committed: Sequence[Transition], arrived: Sequence[Arrival]) -> list[str]:
    """Messages that nobody committed, or that say something else than was committed."""
    truth = {each.trans_id: (each.job_id, each.state, each.job_id) for each in committed}
    return [str(each) for each in arrived if truth.get(each.trans_id) != (each.job_id, each.state, each.key)]


def _reordered(committed: Sequence[Transition], arrived: Sequence[Arrival]) -> list[str]:
    """Jobs whose first arrivals are not in the order of the commits, or that are spread over partitions."""
    order = {each.trans_id: place for place, each in enumerate(committed)}
    latest: dict[str, int] = {}
    found = []
    seen: set[str] = set()
    for each in arrived:
        if each.trans_id in seen or each.trans_id not in order:
            continue
        seen.add(each.trans_id)
        place = order[each.trans_id]
        if place < latest.get(each.job_id, -1):
            found.append(f"{each.job_id}: {each.state} came late")
        latest[each.job_id] = max(place, latest.get(each.job_id, -1))
    partitions = Counter(job for job, _ in {(each.job_id, each.partition) for each in arrived})
    return found + [f"{job} is in {count} partitions" for job, count in partitions.items() if count > 1]


def _ahead(committed: Sequence[Transition], saves: Sequence[Save], arrived: Sequence[Arrival]) -> list[str]:
    """Stored positions at or after a transition that the broker did not have when they were stored."""
    first: dict[str, float] = {}
    for each in arrived:
        first[each.trans_id] = min(each.at, first.get(each.trans_id, each.at))
    found = []
    for save in saves:
        early = [each for each in committed if each.token <= save.token and first.get(each.trans_id, _NEVER) > save.at]
        if early:
            found.append(f"{len(early)} undelivered when {save.token[:24]} was stored, the first {early[0]}")
    return found


_NEVER = float("inf")
