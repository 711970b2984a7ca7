"""Jobs without a history: each new state is a transition, with the time of its update."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId

from bridge.model.profile import PROFILES, Profile
from bridge.model.transition import Poison, Transition, made_trans_id
from bridge.mongo.job_documents import JobDocuments
from tests.support.decoding import FakeLookup, decoded, decoder, in_transaction, item, items_of
from tests.support.factories import BASE, NAIVE_NOON, NOON, Raw, shaped

TIME = 1741111111.123
TEXT = "2025-03-04T17:58:31.123000+00:00"


def entered(number: int, state: str, updated: Any = TIME, key: Any = "key") -> Raw:
    """The n-th event, an update to a state."""
    return shaped(number, "update", key, s=state, **({} if updated is ... else {"u": updated}))


def test_a_profile_without_history_gives_the_latest_state() -> None:
    key = ObjectId("67c700000000000000000001")
    raw = entered(1, "running", 1741111111.1239, key)

    assert item(raw, profile="ee2") == Transition(
        str(key), "running", TEXT, made_trans_id(str(key), TEXT, "running"), None
    )


def test_stream_and_recovery_make_one_identity() -> None:
    job = {"_id": "key", "status": "running", "updated": TIME}

    (recovered,) = JobDocuments(PROFILES["ee2"]).history(job).items

    assert recovered == item(entered(1, "running"), profile="ee2")


def test_the_commit_replaces_a_missing_time() -> None:
    raw = shaped(1, "insert", s="created")

    assert item(raw, profile="ee2").time == (NOON + timedelta(seconds=1)).isoformat()
    del raw["w"]
    assert (
        item(raw, profile="ee2").time == datetime.fromtimestamp(BASE + 1, timezone.utc).isoformat()
    )


@pytest.mark.parametrize("useless", ["soon", True, 1e300, float("nan"), b""])
def test_an_unusable_time_is_dead_lettered(useless: object) -> None:
    poison = item(entered(1, "created", useless), profile="ee2")

    assert isinstance(poison, Poison)
    assert poison.reason.startswith(f"the time is {type(useless).__name__}, not a date")


def test_an_unchanged_time_is_read() -> None:
    """An update does not contain a field that it leaves as it is."""
    lookup = FakeLookup()
    lookup.after["key"] = {"_id": "key", "status": "running", "updated": TIME}

    assert item(entered(1, "running", ...), profile="ee2", lookup=lookup).time == TEXT


@pytest.mark.parametrize("document", [None, {"_id": "key", "status": "other", "updated": TIME}])
def test_a_time_is_not_guessed(document: Raw | None) -> None:
    lookup = FakeLookup()
    if document:
        lookup.after["key"] = document

    poison = item(entered(1, "running", ...), profile="ee2", lookup=lookup)

    assert isinstance(poison, Poison) and poison.reason.startswith("the time is missing")


def test_an_event_without_a_state_gives_nothing() -> None:
    (event,) = decoded(shaped(1, "replace"), profile="ee2")

    assert (event.items, event.skipped) == ((), "no_transition")


def test_a_state_that_returns_has_another_identity() -> None:
    """A consumer that drops repeats would end with B."""
    items = items_of(
        decoder(profile="ee2"), *(entered(n, state) for n, state in enumerate("ABAA", 1))
    )

    assert [item.state for item in items] == ["A", "B", "A", "A"]
    assert [item.trans_id for item in items] == [
        made_trans_id("key", TEXT, "A"),
        made_trans_id("key", TEXT, "B"),
        made_trans_id("key", TEXT, "A", 1),
        made_trans_id("key", TEXT, "A", 1),
    ]


def test_a_transaction_gives_only_its_last_state() -> None:
    raws = in_transaction(*(entered(1, state) for state in "ABA"))

    events = decoder(profile="ee2").decode([*raws, entered(2, "C")])

    assert [[item.state for item in event.items] for event in events] == [[], [], ["A"], ["C"]]
    assert [event.skipped for event in events] == ["no_transition", "no_transition", "", ""]


def test_a_transaction_of_two_jobs_gives_both() -> None:
    raws = in_transaction(
        entered(1, "A"), entered(1, "B", key="other"), entered(1, "C"), shaped(1, "delete", "third")
    )

    items = items_of(decoder(profile="ee2"), *raws)

    assert [(item.job_id, item.state) for item in items] == [("other", "B"), ("key", "C")]


def test_a_job_id_beside_the_key_is_looked_up() -> None:
    profile = Profile("jobs", "id", "status", None, "updated")
    lookup = FakeLookup([("key", {"_id": "key", "id": "job-7"})])
    one_job = decoder(lookup, profile)

    items = items_of(one_job, entered(1, "A"), entered(2, "B", TIME + 1))
    items += items_of(one_job, entered(3, "C", TIME + 2), entered(4, "D", TIME + 3, "deleted"))

    assert [item.job_id for item in items] == ["job-7", "job-7", "job-7", ""]
    assert isinstance(items[-1], Poison)
    assert items[-1].reason.startswith("the job was deleted before its id could be looked up")


def test_jobs_without_a_time_use_the_commits() -> None:
    profile = Profile("jobs", "_id", "status", None, None)
    (transition,) = items_of(decoder(profile=profile), entered(1, "A", ...))

    assert transition.time == (NOON + timedelta(seconds=1)).isoformat()


def test_a_date_is_a_time_too() -> None:
    assert item(entered(1, "A", NAIVE_NOON), profile="ee2").time == NOON.isoformat()
