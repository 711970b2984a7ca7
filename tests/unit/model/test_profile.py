"""Profiles: the field names of a collection."""

from __future__ import annotations

import pytest

from bridge.errors import Misconfigured
from bridge.model.profile import PROFILES, Profile, namespace_of, profile_of
from tests.support.factories import settings


def test_the_job_service_is_the_default() -> None:
    assert profile_of(settings()) == Profile(
        "jobs",
        "id",
        "state",
        "transition_times",
        "_update_time",
        archive_field="trans_history",
    )
    assert namespace_of(settings()) == "cdmtaskservice.jobs"


def test_the_execution_engine_keeps_only_the_latest_state() -> None:
    found = profile_of(settings(jobs__profile="ee2"))

    assert found == Profile("ee2_jobs", "_id", "status", None, "updated")


def test_another_collection_may_be_named() -> None:
    config = settings(jobs__profile="ee2", mongo__database="d", mongo__collection="other")

    assert profile_of(config).collection == "other"
    assert namespace_of(config) == "d.other"


def test_a_custom_profile_comes_from_the_settings() -> None:
    config = settings(
        jobs__profile="custom",
        jobs__id_field="key",
        jobs__state_field="status",
        jobs__transitions_field="log",
        jobs__transition_state="to",
        jobs__transition_time="when",
        jobs__transition_trans_id="uid",
    )

    assert profile_of(config) == Profile("jobs", "key", "status", "log", None, "to", "when", "uid")


def test_a_custom_profile_may_have_an_archive() -> None:
    config = settings(
        jobs__profile="custom",
        jobs__id_field="key",
        jobs__state_field="status",
        jobs__transitions_field="log",
        jobs__archive_field="old",
    )

    assert profile_of(config).history_fields == ("old", "log")


def test_a_history_is_read_oldest_first() -> None:
    assert PROFILES["cts"].history_fields == ("trans_history", "transition_times")
    assert PROFILES["ee2"].history_fields == ()


def test_a_tag_may_not_replace_the_archive() -> None:
    config = settings(delivery__mode="background-jobs", sweep__job_tag="trans_history")

    with pytest.raises(Misconfigured, match="trans_history is a field that the service uses"):
        profile_of(config)


def test_a_custom_profile_may_have_no_history() -> None:
    config = settings(
        jobs__profile="custom", jobs__id_field="_id", jobs__state_field="s", jobs__updated_field="u"
    )

    assert profile_of(config) == Profile("jobs", "_id", "s", None, "u")
