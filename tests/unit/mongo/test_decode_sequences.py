"""Any sequence of writes is decoded to exactly its transitions, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bridge.mongo.job_id_cache import JobIdCache
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.profile import PROFILES
from bridge.model.transition import Transition
from bridge.mongo.decoder import Decoder
from tests.support.factories import STATES, Raw, element, shaped

WRITES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "push",
                "push",
                "push",
                "push two",
                "again",
                "rewrite",
                "replace",
                "notif_sent",
                "note",
                "delete",
                "drop",
            ]
        ),
        st.integers(0, 4),
        st.sampled_from(STATES),
    ),
    max_size=40,
)
Expected = tuple[str, str, str, int]


class Service:
    """Writes jobs; records the shaped events and the transitions to expect."""

    def __init__(self) -> None:
        self.raws: list[Raw] = []
        self.expected: list[Expected] = []
        self.ids: dict[int, str] = {}
        self._history: dict[int, int] = {}
        self._made = 0

    def write(self, kind: str, key: int, state: str) -> None:
        if kind == "drop":
            self._event("drop")
        elif key not in self._history:
            self._insert(key, state, 2 if kind == "push two" else 1)
        elif kind in ("push", "push two"):
            first = self._history[key]
            self._update(
                key,
                [self._new(key, first + n, state) for n in range(1 + (kind == "push two"))],
                state,
            )
        elif kind == "again":
            rewritten = self._new(key, 0, state)
            self._history[key] = 1
            values = [
                {"k": f"transition_times.0.{name}", "v": rewritten[field]}
                for name, field in (("state", "s"), ("trans_id", "i"), ("time", "d"))
            ]
            self._event("update", key, t=values, n=state)
        elif kind in ("rewrite", "replace"):
            history = [self._new(key, n, state) for n in range(self._history[key])]
            fields = {"j": self.ids[key]} if kind == "replace" else {}
            self._event(
                "update" if kind == "rewrite" else "replace", key, t=[], a=history, **fields
            )
        elif kind == "note":  # a document inside an element passes the server's filter
            self._event("update", key, t=[{"k": "transition_times.0.notes"}])
        elif kind == "delete":
            self._event("delete", key)
            del self._history[key]
        # The server filters out a changed flag, so there is no event.

    def _insert(self, key: int, state: str, count: int) -> None:
        self.ids[key] = f"job-{key}"
        self._history[key] = 0
        history = [self._new(key, n, state) for n in range(count)]
        self._event("insert", key, t=[], a=history, j=self.ids[key])

    def _update(self, key: int, elements: Sequence[Raw], state: str) -> None:
        start = self._history[key] - len(elements)
        self._event(
            "update",
            key,
            t=[{"k": f"transition_times.{start + n}", **new} for n, new in enumerate(elements)],
            n=state,
        )

    def _new(self, key: int, index: int, state: str) -> Raw:
        self._made += 1
        self._history[key] = max(self._history[key], index + 1)
        self.expected.append((self.ids[key], state, f"t-{self._made}", index))
        return element(self._made, state)

    def _event(self, operation: str, key: Any = None, **fields: Any) -> None:
        self.raws.append(shaped(len(self.raws) + 1, operation, key, **fields))


@given(WRITES, st.lists(st.integers(1, 9), min_size=1), st.integers(1, 6))
def test_any_sequence_of_writes_gives_its_transitions(
    writes: list[tuple[str, int, str]], batches: list[int], max_jobs: int
) -> None:
    service = Service()
    for write in writes:
        service.write(*write)
    decoder = Decoder(
        PROFILES["cts"],
        JobIdCache(lambda keys: [(key, service.ids[key]) for key in keys], max_jobs),
    )

    events, left, turn = [], service.raws, 0
    while left:
        size = batches[turn % len(batches)]
        events += decoder.decode(left[:size])
        left, turn = left[size:], turn + 1

    transitions: list[Expected] = []
    for event in events:
        for item in event.items:
            assert isinstance(item, Transition) and item.sequence is not None
            transitions.append((item.job_id, item.state, item.trans_id, item.sequence))
    assert transitions == service.expected
    assert [event.position for event in events] == sorted(event.position for event in events)
    assert all(bool(event.items) != bool(event.skipped) for event in events)
