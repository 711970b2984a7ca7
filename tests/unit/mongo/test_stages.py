"""The stages of the change stream: minimal, stable and identified."""

from __future__ import annotations

from dataclasses import replace

from bson import json_util

from bridge.model.profile import PROFILES
from bridge.mongo.event_fields import WHOLE_ARCHIVE
from bridge.mongo.stages import fingerprint, shaping_stages


def test_the_filter_follows_the_projection() -> None:
    for profile in PROFILES.values():
        project, match = shaping_stages(profile)

        assert list(project) == ["$project"] and list(match) == ["$match"]
        assert "_id" not in project["$project"], (
            "a stream cannot resume from an event without its token"
        )


def test_events_contain_only_id_state_and_history() -> None:
    text = json_util.dumps(shaping_stages(PROFILES["cts"]))

    assert "job_input" not in text and '$fullDocument"' not in text
    named = ("id", "transition_times", "trans_history")
    assert text.count("$fullDocument.") == sum(
        text.count(f"$fullDocument.{name}") for name in named
    )


def test_no_field_name_fails_the_filter() -> None:
    """A regular expression fails on a name that is not UTF-8, and so does $substrBytes."""
    text = json_util.dumps(shaping_stages(PROFILES["cts"]))

    assert "$regex" not in text and "$substr" not in text


def test_stages_without_an_archive_name_none() -> None:
    text = json_util.dumps(shaping_stages(replace(PROFILES["cts"], archive_field=None)))

    assert "trans_history" not in text and f'"{WHOLE_ARCHIVE}"' not in text


def test_the_fingerprint_identifies_the_stages() -> None:
    cts = PROFILES["cts"]

    assert fingerprint(cts) == fingerprint(replace(cts))
    assert fingerprint(cts) == fingerprint(replace(cts, collection="other"))
    others = (
        PROFILES["ee2"],
        replace(cts, transition_state="to"),
        replace(cts, id_field="key"),
        replace(cts, archive_field=None),
        replace(PROFILES["ee2"], updated_field=None),
    )
    assert len({fingerprint(profile) for profile in (cts, *others)}) == 6
