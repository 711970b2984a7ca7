"""Judges a run: commits against arrivals, and stored positions against arrivals by then."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tests.support.follower import Arrival
from tests.support.simulator import Commit
from tests.support.witness import CommittedTransition, Save

#: Maximum age of the stored position: the interval of one second plus time for a busy machine.
CHECKPOINT_SECONDS = 3.0
#: How long the broker may still append messages from the sockets of a killed process.
AFTERLIFE_MILLIS = 1000
#: How many faults of each kind an error names.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings about a run, a list for each fault; ``positions``: the mode stores them."""

    committed: Sequence[CommittedTransition]
    arrived: Sequence[Arrival]
    saves: Sequence[Save]
    lost: Sequence[str]
    strange: Sequence[str]
    reordered: Sequence[str]
    ahead: Sequence[str]
    positions: bool = True

    @property
    def repeated(self) -> int:
        """Messages beyond the first of each transition."""
        return len(self.arrived) - len({arrival.trans_id for arrival in self.arrived})

    def replay(self, ends: Iterable[float], seconds: float = CHECKPOINT_SECONDS) -> int:
        """How many messages may be repeated after lives that ended at ``ends``, Unix seconds.

        For each: the arrivals that the stored position did not cover, but not more than arrived
        in the last ``seconds``, the interval of storing.
        """
        return sum(
            min(len(self._uncovered(1000 * end)), self._recent(1000 * end, seconds)) for end in ends
        )

    def _uncovered(self, end: float) -> set[str]:
        stored = max((save.token for save in self.saves if save.at <= end), default="")
        later = {commit.trans_id for commit in self.committed if commit.token > stored}
        return later & {
            arrival.trans_id for arrival in self.arrived if arrival.at <= end + AFTERLIFE_MILLIS
        }

    def _recent(self, end: float, seconds: float) -> int:
        return sum(
            end - 1000 * seconds <= arrival.at <= end + AFTERLIFE_MILLIS for arrival in self.arrived
        )

    def check(
        self,
        *,
        repeated_at_most: int,
        at_least: int = 100,
        saves_at_least: int = 1,
        untagged_at_most: int = 0,
    ) -> None:
        """Fail if transitions are lost, reordered or stored too early, or too many are repeated.

        A run without events proves nothing, so ``at_least`` transitions must have been committed
        and ``saves_at_least`` positions stored. A mode with tags may repeat ``untagged_at_most``
        more: messages whose tags could not be cleared while MongoDB was unreachable.
        """
        if not self.positions:
            saves_at_least, repeated_at_most = 0, repeated_at_most + untagged_at_most
        problems = [
            f"{len(examples)} {name}: {'; '.join(examples[:EXAMPLES])}"
            for name, examples in (
                ("lost", self.lost),
                ("never committed as sent", self.strange),
                ("out of order", self.reordered),
                ("stored positions ahead of what was delivered", self.ahead),
            )
            if examples
        ]
        if self.repeated > repeated_at_most:
            problems.append(f"{self.repeated} repeated, where {repeated_at_most} are allowed")
        committed, saves = len(self.committed), len(self.saves)
        if committed < at_least:
            problems.append(f"only {committed} transitions were committed, {at_least} are needed")
        if saves < saves_at_least:
            problems.append(f"only {saves} positions were stored, {saves_at_least} are needed")
        print(
            f"{committed} committed, {self.repeated} repeated of {repeated_at_most} allowed, "
            f"{saves} stored"
        )
        assert not problems, (
            f"of {committed} transitions, {len(self.arrived)} messages: " + "\n".join(problems)
        )


def judge(
    committed: Sequence[CommittedTransition],
    acknowledged: Iterable[Commit],
    saves: Sequence[Save],
    arrived: Sequence[Arrival],
    *,
    positions: bool = True,
) -> Verdict:
    """Compare; ``committed`` is in stream order, ``acknowledged`` as the writer knows it."""
    there = {arrival.trans_id for arrival in arrived}
    known = {commit.trans_id for commit in committed}
    unseen = [commit.trans_id for commit in acknowledged if commit.trans_id not in known]
    assert not unseen, f"the witness missed {len(unseen)} acknowledged transitions, it cannot judge"
    return Verdict(
        committed=committed,
        arrived=arrived,
        saves=saves,
        lost=[
            f"{commit.job_id} {commit.state} {commit.trans_id}"
            for commit in committed
            if commit.trans_id not in there
        ],
        strange=_strange(committed, arrived),
        reordered=_reordered(committed, arrived),
        ahead=_ahead(committed, saves, arrived),
        positions=positions,
    )


def _strange(committed: Sequence[CommittedTransition], arrived: Sequence[Arrival]) -> list[str]:
    """Messages without a commit, or that differ from their commit."""
    truth = {commit.trans_id: (commit.job_id, commit.state, commit.job_id) for commit in committed}
    return [
        str(arrival)
        for arrival in arrived
        if truth.get(arrival.trans_id) != (arrival.job_id, arrival.state, arrival.key)
    ]


def _reordered(committed: Sequence[CommittedTransition], arrived: Sequence[Arrival]) -> list[str]:
    """Jobs whose first arrivals are not in commit order, or are in several partitions."""
    order = {commit.trans_id: index for index, commit in enumerate(committed)}
    latest: dict[str, int] = {}
    reordered = []
    seen: set[str] = set()
    for arrival in arrived:
        if arrival.trans_id in seen or arrival.trans_id not in order:
            continue
        seen.add(arrival.trans_id)
        index = order[arrival.trans_id]
        if index < latest.get(arrival.job_id, -1):
            reordered.append(f"{arrival.job_id}: {arrival.state} came late")
        latest[arrival.job_id] = max(index, latest.get(arrival.job_id, -1))
    partitions = Counter(
        job for job, _ in {(arrival.job_id, arrival.partition) for arrival in arrived}
    )
    return reordered + [
        f"{job} is in {count} partitions" for job, count in partitions.items() if count > 1
    ]


def _ahead(
    committed: Sequence[CommittedTransition], saves: Sequence[Save], arrived: Sequence[Arrival]
) -> list[str]:
    """Stored positions that cover a transition which the broker did not have by then."""
    first: dict[str, float] = {}
    for arrival in arrived:
        first[arrival.trans_id] = min(arrival.at, first.get(arrival.trans_id, arrival.at))
    in_order = sorted(committed, key=lambda commit: commit.token)
    tokens = [commit.token for commit in in_order]
    arrivals = [first.get(commit.trans_id, _NEVER) for commit in in_order]
    #: When the last of those up to each commit had arrived.
    complete = [*accumulate(arrivals, max)]
    ahead = []
    for save in saves:
        covered = bisect_right(tokens, save.token)
        if covered and complete[covered - 1] > save.at:
            early = [
                commit
                for commit, arrival in zip(in_order[:covered], arrivals, strict=False)
                if arrival > save.at
            ]
            ahead.append(
                f"{len(early)} undelivered when {save.token[:24]} was stored, the first {early[0]}"
            )
    return ahead


_NEVER = float("inf")
