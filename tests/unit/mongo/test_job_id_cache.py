"""Job ids: remembered from inserts, looked up together where they are missing, never more than so many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from bridge.mongo.job_id_cache import UNKNOWN, JobIdCache


class JobDocuments:
    """A collection that tells what it was asked."""

    def __init__(self, documents: Mapping[Any, Any]) -> None:
        self.documents = documents
        self.asked: list[list[Any]] = []

    def __call__(self, keys: list[Any]) -> Iterable[tuple[Any, Any]]:
        self.asked.append(sorted(keys))
        return [(key, self.documents[key]) for key in keys if key in self.documents]


def test_what_is_remembered_is_not_looked_up() -> None:
    lookup = JobDocuments({})
    ids = JobIdCache(lookup)
    ids.remember("a", "job-a")

    assert ids.cached("a") == "job-a"
    assert ids.cached("b") is UNKNOWN
    assert lookup.asked == []


def test_many_misses_are_one_question_and_none_is_no_question() -> None:
    lookup = JobDocuments({key: f"job-{key}" for key in "abc"})
    ids = JobIdCache(lookup)

    assert ids.look_up(["c", "b", "c"]) == ["job-c", "job-b", "job-c"]
    assert ids.look_up([]) == []
    assert lookup.asked == [["b", "c"]]
    assert ids.lookups == 1


def test_what_was_looked_up_is_remembered() -> None:
    lookup = JobDocuments({"a": "job-a"})
    ids = JobIdCache(lookup)

    ids.look_up(["a"])

    assert ids.cached("a") == "job-a"


def test_a_document_that_is_gone_is_told_as_such_and_asked_for_again() -> None:
    ids = JobIdCache(JobDocuments({"b": "job-b"}))

    assert ids.look_up(["a", "b"], "gone") == ["gone", "job-b"]
    assert ids.cached("a") is UNKNOWN


def test_a_job_without_an_id_is_remembered_as_such() -> None:
    lookup = JobDocuments({"a": None})
    ids = JobIdCache(lookup)

    assert ids.look_up(["a"], "gone") == [None]
    assert ids.cached("a") is None


KEY = ObjectId("6b08167d43c82fb391be9ae4")


@pytest.mark.parametrize(
    ("key", "other"), [(KEY, KEY.binary), (KEY, str(KEY)), (True, 1), (1, "1")]
)
def test_what_python_or_we_might_take_for_equal_are_two_documents(key: Any, other: Any) -> None:
    ids = JobIdCache(JobDocuments({}))
    ids.remember(key, "job-a")
    ids.remember(other, "job-b")

    assert [ids.cached(key), ids.cached(other)] == ["job-a", "job-b"]


def test_a_key_is_known_again_when_the_next_event_tells_it() -> None:
    ids = JobIdCache(lambda keys: [(ObjectId(keys[0].binary), "job-b")])
    ids.remember(KEY, "job-a")
    other = ObjectId()

    assert ids.cached(ObjectId(KEY.binary)) == "job-a"
    assert ids.look_up([other]) == ["job-b"]
    assert ids.cached(ObjectId(other.binary)) == "job-b"


def test_the_oldest_go_first() -> None:
    ids = JobIdCache(JobDocuments({}), max_jobs=2)
    for key in "abc":
        ids.remember(key, key)

    assert [ids.cached(key) for key in "abc"] == [UNKNOWN, "b", "c"]


def test_remembering_again_pushes_nobody_out() -> None:
    ids = JobIdCache(JobDocuments({}), max_jobs=2)
    for key in "abbb":
        ids.remember(key, key)

    assert [ids.cached(key) for key in "ab"] == ["a", "b"]


@given(st.lists(st.sets(st.integers(0, 30), max_size=10)), st.integers(2, 8))
def test_any_use_answers_right_and_keeps_no_more_than_allowed(
    questions: list[set[int]], most: int
) -> None:
    documents = {key: f"job-{key}" for key in range(0, 30, 2)}
    ids = JobIdCache(JobDocuments(documents), most)

    for keys in questions:
        assert ids.look_up(list(keys)) == [documents.get(key) for key in keys]
        assert len(ids._newer) + len(ids._older) <= most
