"""Judges a lane of a soak: the jobs against its topic, and its samples against each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from tests.support.bridge_process import BridgeProcess
from tests.support.messages import header
from tests.support.servers.records import TopicRecord
from tests.support.topic_contents import Contents, ExpectedMessage, compare

#: The log line that ends a read-back.
READ_BACK = re.compile(r"read the topic \S+ back")
#: How much the medians of the second and the last quarter of the samples may differ.
GROWTH = {"MB": 15.0, "threads": 3.0, "descriptors": 5.0}


@dataclass(frozen=True, slots=True)
class LaneVerdict:
    """``late``: repeated messages whose first copy was appended after the read-back ended.

    A producer that was given up still had them on the wire; ``repeated`` does not contain them.
    """

    committed: int
    lost: Sequence[str]
    reordered: Sequence[str]
    repeated: Sequence[str]
    late: Sequence[str]


def judge_lane(
    jobs: Mapping[str, Sequence[ExpectedMessage]],
    records: Sequence[TopicRecord],
    bridges: Sequence[BridgeProcess],
) -> LaneVerdict:
    found: Contents = compare(jobs, records)
    again = {trans_id for trans_id, count in found.copies.items() if count > 1}
    times: dict[str, list[int]] = {}
    for record in records:
        identity = (header(record, "ce_id") or b"").decode()
        if identity in again:
            times.setdefault(identity, []).append(record.timestamp)
    ends = [end for bridge in bridges for end in read_back_ends(bridge)]
    repeated: list[str] = []
    late: list[str] = []
    for trans_id, arrivals in times.items():
        first, *others = sorted(arrivals)
        for arrival in others:
            ended = max((end for end in ends if end <= arrival), default=0.0)
            example = f"{trans_id} at {_clock(first)} and {_clock(arrival)}"
            (late if ended and first > ended else repeated).append(example)
    return LaneVerdict(len(found.copies), found.lost, found.reordered, repeated, late)


def read_back_ends(bridge: BridgeProcess) -> list[float]:
    """When the read-backs of all lives ended, Unix milliseconds."""
    return [
        datetime.fromisoformat(str(line["time"])).timestamp() * 1000
        for line in bridge.all_lines()
        if "time" in line and READ_BACK.search(str(line["message"]))
    ]


def growth(samples: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """The medians of the second and the last quarter, by the name of the sample."""
    quarter = len(samples) // 4
    if not quarter:
        return {}
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: (median(s[name] for s in early), median(s[name] for s in late)) for name in GROWTH
    }


def has_grown(medians: Mapping[str, tuple[float, float]]) -> list[str]:
    """The resources that are larger at the end than they may be."""
    return [
        f"{name}: {early:.0f} -> {late:.0f}"
        for name, (early, late) in medians.items()
        if late - early > GROWTH[name]
    ]


def _clock(millis: float) -> str:
    return datetime.fromtimestamp(millis / 1000).isoformat(timespec="milliseconds")[11:]
