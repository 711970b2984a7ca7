"""Judges what read_committed consumers saw: Jepsen's anomalies of a log, and the order of jobs.

The truth about the topic is what another client reads from it at the end, as read_committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from tests.support.live_reader import Place, Reading
from tests.support.messages import header
from tests.support.servers.records import TopicRecord
from tests.support.witness import CommittedTransition

#: How many faults of each kind an error names.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class VisibleVerdict:
    """The findings, a list for each anomaly; the names in brackets are Jepsen's.

    Attributes:
        lost: Committed transitions without a visible message [lost-write].
        repeated: Transitions with more than one visible message [duplicate].
        reordered: Jobs whose messages are not in the order of their commits [nonmonotonic-send].
        strange: Visible messages that no commit explains [dirty-update].
        aborted: Messages seen live that are not committed in the end [G1a, precommitted-read].
        inconsistent: Places of the topic with two contents [inconsistent-offsets].
        backward: Places seen again or after a later place [nonmonotonic-poll].
        skipped: Committed messages passed without being seen [poll-skip].
        unseen: Committed messages after the last place that was seen [unseen].
    """

    lost: Sequence[str] = field(default_factory=list)
    repeated: Sequence[str] = field(default_factory=list)
    reordered: Sequence[str] = field(default_factory=list)
    strange: Sequence[str] = field(default_factory=list)
    aborted: Sequence[str] = field(default_factory=list)
    inconsistent: Sequence[str] = field(default_factory=list)
    backward: Sequence[str] = field(default_factory=list)
    skipped: Sequence[str] = field(default_factory=list)
    unseen: Sequence[str] = field(default_factory=list)

    @property
    def anomalies(self) -> dict[str, Sequence[str]]:
        """The anomalies that were found, with their examples."""
        found = {kind.name: getattr(self, kind.name) for kind in fields(self)}
        return {name: examples for name, examples in found.items() if examples}

    def check(self) -> None:
        """Fail if there is any anomaly."""
        assert not self.anomalies, "\n".join(
            f"{len(examples)} {name}: {'; '.join(examples[:EXAMPLES])}"
            for name, examples in self.anomalies.items()
        )


def judge_visible(
    committed: Sequence[CommittedTransition],
    final: Sequence[TopicRecord],
    readings: Sequence[Reading],
) -> VisibleVerdict:
    """Compare; ``committed`` is in stream order, ``final`` by partition and offset."""
    there = Counter(map(_trans_id, final))
    return VisibleVerdict(
        lost=[str(commit) for commit in committed if not there[commit.trans_id]],
        repeated=[f"{trans_id} {count} times" for trans_id, count in there.items() if count > 1],
        reordered=[*_reordered(committed, final)],
        strange=[*_strange(committed, final)],
        **_seen(final, readings),
    )


def _trans_id(record: TopicRecord) -> str:
    return (header(record, "ce_id") or b"").decode()


def _strange(
    committed: Iterable[CommittedTransition], final: Iterable[TopicRecord]
) -> Iterable[str]:
    truth = {commit.trans_id: commit.job_id.encode() for commit in committed}
    for record in final:
        if truth.get(_trans_id(record)) != record.key:
            yield f"{record.partition}:{record.offset} {_trans_id(record)}"


def _reordered(
    committed: Sequence[CommittedTransition], final: Iterable[TopicRecord]
) -> Iterable[str]:
    order = {commit.trans_id: index for index, commit in enumerate(committed)}
    latest: dict[bytes | None, tuple[int, int]] = {}
    for record in final:
        index = order.get(_trans_id(record))
        if index is None:
            continue
        partition, before = latest.get(record.key, (record.partition, -1))
        if partition != record.partition:
            yield f"{record.key!r} is in the partitions {partition} and {record.partition}"
        if index < before:
            yield f"{record.key!r} at {record.partition}:{record.offset}"
        latest[record.key] = record.partition, max(index, before)


def _seen(final: Sequence[TopicRecord], readings: Sequence[Reading]) -> dict[str, list[str]]:
    """The anomalies of the live reader."""
    truth: dict[Place, tuple[bytes, bytes]] = {
        (record.partition, record.offset): (record.key or b"", record.value or b"")
        for record in final
    }
    reached: dict[int, int] = {}
    found: dict[str, list[str]] = {
        name: [] for name in ("aborted", "inconsistent", "backward", "skipped", "unseen")
    }
    for reading in readings:
        name = f"{reading.partition}:{reading.offset} {reading.trans_id}"
        if reading.offset <= reached.get(reading.partition, -1):
            found["backward"].append(name)
        reached[reading.partition] = max(reading.offset, reached.get(reading.partition, -1))
        if reading.place not in truth:
            found["aborted"].append(name)
        elif truth[reading.place] != (reading.key, reading.value):
            found["inconsistent"].append(name)
    for partition, offset in sorted(truth.keys() - {reading.place for reading in readings}):
        passed = offset < reached.get(partition, -1)
        found["skipped" if passed else "unseen"].append(f"{partition}:{offset}")
    return found
