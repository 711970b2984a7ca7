"""Job ids: remembered from inserts, looked up together, at most as many as allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongo.job_id_cache import UNKNOWN, JobIdCache


class RecordingLookup:
    """A collection that records its queries."""

    def __init__(self, documents: Mapping[Any, Any]) -> None:
        self.documents = documents
        self.queries: list[list[Any]] = []

    def __call__(self, keys: list[Any]) -> Iterable[tuple[Any, Any]]:
        self.queries.append(sorted(keys))
        return [(key, self.documents[key]) for key in keys if key in self.documents]


def test_remembered_ids_are_not_looked_up() -> None:
    lookup = RecordingLookup({})
    ids = JobIdCache(lookup)
    ids.remember("a", "job-a")

    assert ids.cached("a") == "job-a"
    assert ids.cached("b") is UNKNOWN
    assert lookup.queries == []


def test_missing_ids_are_looked_up_by_one_query() -> None:
    lookup = RecordingLookup({key: f"job-{key}" for key in "abc"})
    ids = JobIdCache(lookup)

    assert ids.look_up(["c", "b", "c"]) == ["job-c", "job-b", "job-c"]
    assert ids.look_up([]) == []
    assert lookup.queries == [["b", "c"]]
    assert ids.lookups == 1


def test_ids_are_remembered_after_a_look_up() -> None:
    lookup = RecordingLookup({"a": "job-a"})
    ids = JobIdCache(lookup)

    ids.look_up(["a"])

    assert ids.cached("a") == "job-a"


def test_a_deleted_document_is_not_remembered() -> None:
    ids = JobIdCache(RecordingLookup({"b": "job-b"}))

    assert ids.look_up(["a", "b"], "gone") == ["gone", "job-b"]
    assert ids.cached("a") is UNKNOWN


def test_a_missing_job_id_is_remembered() -> None:
    lookup = RecordingLookup({"a": None})
    ids = JobIdCache(lookup)

    assert ids.look_up(["a"], "gone") == [None]
    assert ids.cached("a") is None


KEY = ObjectId("6b08167d43c82fb391be9ae4")


@pytest.mark.parametrize(
    ("key", "other"), [(KEY, KEY.binary), (KEY, str(KEY)), (True, 1), (1, "1")]
)
def test_similar_keys_are_different_documents(key: Any, other: Any) -> None:
    ids = JobIdCache(RecordingLookup({}))
    ids.remember(key, "job-a")
    ids.remember(other, "job-b")

    assert [ids.cached(key), ids.cached(other)] == ["job-a", "job-b"]


def test_an_equal_key_is_found() -> None:
    ids = JobIdCache(lambda keys: [(ObjectId(keys[0].binary), "job-b")])
    ids.remember(KEY, "job-a")
    other = ObjectId()

    assert ids.cached(ObjectId(KEY.binary)) == "job-a"
    assert ids.look_up([other]) == ["job-b"]
    assert ids.cached(ObjectId(other.binary)) == "job-b"


def test_the_oldest_ids_are_dropped_first() -> None:
    ids = JobIdCache(RecordingLookup({}), max_jobs=2)
    for key in "abc":
        ids.remember(key, key)

    assert [ids.cached(key) for key in "abc"] == [UNKNOWN, "b", "c"]


def test_remembering_again_drops_no_id() -> None:
    ids = JobIdCache(RecordingLookup({}), max_jobs=2)
    for key in "abbb":
        ids.remember(key, key)

    assert [ids.cached(key) for key in "ab"] == ["a", "b"]


@given(st.lists(st.sets(st.integers(0, 30), max_size=10)), st.integers(2, 8))
def test_any_use_is_right_and_bounded(queries: list[set[int]], max_jobs: int) -> None:
    documents = {key: f"job-{key}" for key in range(0, 30, 2)}
    ids = JobIdCache(RecordingLookup(documents), max_jobs)

    for keys in queries:
        assert ids.look_up(list(keys)) == [documents.get(key) for key in keys]
        assert len(ids._newer) + len(ids._older) <= max_jobs
