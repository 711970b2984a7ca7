"""The decoder with other profiles: without a history, and with renamed fields."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from bson import ObjectId

from bridge.model.profile import Profile
from bridge.model.transition import Transition, made_trans_id
from bridge.mongo.decoder import Decoder
from bridge.mongo.job_id_cache import JobIdCache
from tests.support.decoding import decoded, item
from tests.support.factories import (
    BASE,
    NAIVE_NOON,
    NOON,
    shaped,
)


def test_a_profile_without_history_gives_the_latest_state() -> None:
    key = ObjectId("67c700000000000000000001")
    raw = shaped(1, "update", key, s="running", u=1741111111.1239)

    transition = item(raw, profile="ee2")

    time = datetime(2025, 3, 4, 17, 58, 31, 123_000, tzinfo=timezone.utc)
    assert transition == Transition(
        str(key),
        "running",
        time.isoformat(),
        made_trans_id(str(key), time.isoformat(), "running"),
        None,
    )


@pytest.mark.parametrize("useless", [..., None, "soon", True, 1e300, float("nan")])
def test_the_commit_replaces_an_unusable_time(useless: object) -> None:
    raw = shaped(1, "insert", s="created", u=useless)
    if useless is ...:
        del raw["u"]

    assert item(raw, profile="ee2").time == (NOON + timedelta(seconds=1)).isoformat()
    del raw["w"]
    assert (
        item(raw, profile="ee2").time == datetime.fromtimestamp(BASE + 1, timezone.utc).isoformat()
    )


def test_a_profile_without_history_needs_a_state() -> None:
    (event,) = decoded(shaped(1, "replace"), profile="ee2")

    assert (event.items, event.skipped) == ((), "no_transition")


def test_a_profile_may_rename_all_fields() -> None:
    profile = Profile("jobs", "id", "status", "log", None, "to", "when", "uid")
    raw = shaped(
        1,
        "update",
        t=[
            {"k": "log.2", "s": "x", "d": NAIVE_NOON, "i": "u"},
            {"k": "log.0.to", "v": "y"},
            {"k": "log.0.uid", "v": "v"},
        ],
    )

    (event,) = Decoder(profile, JobIdCache(lambda keys: [(key, "job-0") for key in keys])).decode(
        [raw]
    )

    assert [(item.state, item.trans_id, item.sequence) for item in event.items] == [
        ("y", "v", 0),
        ("x", "u", 2),
    ]
