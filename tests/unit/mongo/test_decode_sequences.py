"""Any sequence of writes is decoded to exactly its transitions, in order and with their numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.position import ClusterTime
from bridge.model.transition import BEFORE_FIRST, Transition, next_sequence
from bridge.mongo.job_lookup import Image
from bridge.mongo.known_jobs import KnownJobs, cache_key
from tests.support.decoding import FakeLookup, decoder, document, in_place
from tests.support.factories import BASE, NAIVE_NOON, NOON, STATES, Raw, element, shaped

CURRENT, ARCHIVE = "transition_times", "trans_history"
#: Writes that leave every element in the document. ``recover_job`` moves them to the archive.
GROWING = ["push", "push", "push", "push two", "recover", "replace", "flag", "reorder"]
SHRINKING = ["cap", "truncate", "in place", "identity", "new id"]
REMOVING = ["delete", "drop"]
NOON_MS = round(NOON.timestamp() * 1000)
#: A cache of this size forgets no job, because there are four.
ALL_JOBS = 10
Write = tuple[str, int, str, int]


def writes_of(kinds: Sequence[str], clocks: st.SearchStrategy[int]) -> Any:
    write = st.tuples(st.sampled_from(kinds), st.integers(0, 3), st.sampled_from(STATES), clocks)
    return st.lists(write, max_size=40)


class WrittenJob:
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.archive: list[Raw] = []
        self.current: list[Raw] = []


class Service(FakeLookup):
    """Writes jobs; records the shaped events, the transitions to expect and all documents."""

    def __init__(self) -> None:
        super().__init__()
        self.raws: list[Raw] = []
        self.expected: list[tuple[str, str, str, int]] = []
        self._jobs: dict[int, WrittenJob] = {}
        self._images: list[dict[int, Raw]] = [{}]
        self._made = 0

    def current(self, keys: Sequence[Any], token: str = "") -> Mapping[Hashable, Raw]:
        return {cache_key(key): self._images[-1][key] for key in keys if key in self._images[-1]}

    def at(self, key: Any, time: ClusterTime) -> Image | None:
        # Each event has a second of its own, and the increment 1.
        number = time.seconds - BASE - (time.increment == 0)
        return Image(self._images[number].get(key))

    def write(self, kind: str, key: int, state: str, clock: int) -> None:
        if kind == "drop":
            self._jobs.clear()
            self._event("drop")
        elif kind == "delete":
            if self._jobs.pop(key, None):
                self._event("delete", key)
        elif key not in self._jobs:
            self._made += 1
            job = self._jobs[key] = WrittenJob(f"job-{self._made}")
            new = self._new(job, state, clock)
            self._event("insert", key, [new], j=job.job_id, a=deepcopy(job.current), t=[])
        else:
            job = self._jobs[key]
            added, fields = self._changes(kind, job, state, clock)
            self._event("replace" if kind == "replace" else "update", key, added, **fields)

    def _changes(self, kind: str, job: WrittenJob, state: str, clock: int) -> tuple[list[Raw], Raw]:
        """Make a change; return its new elements and the fields of its event."""
        last = len(job.current) - 1
        if kind == "flag":
            return [], {"t": [{"k": f"{CURRENT}.0", **job.current[0]}]}
        if kind == "reorder":
            job.current.sort(key=lambda each: str(each["i"]))
            return [], {"t": [{"k": CURRENT, "e": deepcopy(job.current)}]}
        if kind == "truncate":
            del job.current[max(1, last) :]
            return [], {"t": [{"k": CURRENT, "z": len(job.current)}]}
        if kind == "identity":
            self._made += 1
            job.current[last] = job.current[last] | {"i": f"t-{self._made}"}
            changes = in_place(last, trans_id=f"t-{self._made}")
            return [job.current[last]], {"t": changes}
        if kind == "in place":
            new = job.current[last] = element(self._number(), state, d=job.current[last]["d"])
            return [new], {"t": in_place(last, state=state, trans_id=new["i"])}
        if kind == "recover":
            return self._recover(job, state, clock)
        new_elements = [self._new(job, state, clock) for _ in range(1 + (kind == "push two"))]
        if kind == "cap":
            job.current = job.current[-2:]
            return new_elements, {"t": [{"k": CURRENT, "e": deepcopy(job.current)}]}
        if kind == "replace":
            whole = {"a": deepcopy(job.current), "h": deepcopy(job.archive), "t": []}
            return new_elements, {"j": job.job_id, **whole}
        first = len(job.current) - len(new_elements)
        changes = [{"k": f"{CURRENT}.{first + n}", **new} for n, new in enumerate(new_elements)]
        if kind == "new id":
            job.job_id += "+"
            return new_elements, {"n": job.job_id, "t": changes}
        return new_elements, {"t": changes}

    def _recover(self, job: WrittenJob, state: str, clock: int) -> tuple[list[Raw], Raw]:
        moved, job.current = job.current, []
        new = self._new(job, state, clock)
        changes = in_place(0, state=new["s"], time=new["d"], trans_id=new["i"])
        if len(moved) > 1:
            changes.append({"k": CURRENT, "z": 1})
        archived = len(job.archive)
        job.archive += moved
        if archived:
            changes += [{"k": f"{ARCHIVE}.{archived + n}", **each} for n, each in enumerate(moved)]
        else:
            changes.append({"k": ARCHIVE, "e": deepcopy(moved)})
        return [new], {"t": changes}

    def _number(self) -> int:
        self._made += 1
        return self._made

    def _new(self, job: WrittenJob, state: str, clock: int) -> Raw:
        number = self._number()
        new = element(number, state, d=NAIVE_NOON + timedelta(milliseconds=clock or number))
        job.current.append(new)
        return new

    def _event(
        self, operation: str, key: Any = None, new: Sequence[Raw] = (), **fields: Any
    ) -> None:
        self.raws.append(shaped(len(self.raws) + 1, operation, key, **deepcopy(fields)))
        self._images.append(
            {
                key: document(job.job_id, *job.current, archive=job.archive, key=key)
                for key, job in self._jobs.items()
            }
        )
        if new:
            self._expect(self._jobs[key], [each["i"] for each in new])

    def _expect(self, job: WrittenJob, new: Sequence[str]) -> None:
        sequence = BEFORE_FIRST
        for each in (*job.archive, *job.current):
            since = each["d"] - NAIVE_NOON
            sequence = next_sequence(sequence, NOON_MS + round(since.total_seconds() * 1000))
            if each["i"] in new:
                self.expected.append((job.job_id, each["s"], each["i"], sequence))


def check(writes: list[Write], batches: list[int], max_jobs: int) -> None:
    service = Service()
    for write in writes:
        service.write(*write)
    one_decoder = decoder(service, known=KnownJobs(max_jobs))

    events, left, turn = [], service.raws, 0
    while left:
        size = batches[turn % len(batches)]
        events += one_decoder.decode(left[:size])
        left, turn = left[size:], turn + 1

    transitions: list[tuple[str, str, str, int | None]] = []
    for event in events:
        for item in event.items:
            assert isinstance(item, Transition), item
            transitions.append((item.job_id, item.state, item.trans_id, item.sequence))
    assert transitions == service.expected
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert all(bool(event.items) != bool(event.skipped) for event in events)


BATCHES = st.lists(st.integers(1, 9), min_size=1)
GROWING_BY_TIME = [kind for kind in GROWING if kind != "reorder"]


@given(writes_of([*GROWING, *SHRINKING, *REMOVING], st.just(0)), BATCHES)
def test_any_sequence_of_writes_gives_its_transitions(
    writes: list[Write], batches: list[int]
) -> None:
    check(writes, batches, ALL_JOBS)


@given(
    writes_of(
        # Of a job that is not known any more, these give a repeat and the latest id.
        [kind for kind in (*GROWING, *SHRINKING, *REMOVING) if kind not in ("flag", "new id")],
        st.just(0),
    ),
    BATCHES,
    st.integers(1, 6),
)
def test_forgotten_jobs_are_read_again(
    writes: list[Write], batches: list[int], max_jobs: int
) -> None:
    check(writes, batches, max_jobs)


@given(writes_of(GROWING_BY_TIME, st.integers(0, 5)), BATCHES)
def test_clocks_that_go_back_keep_the_order(writes: list[Write], batches: list[int]) -> None:
    check(writes, batches, ALL_JOBS)
