"""The stages of the change stream: minimal, stable and identified."""

from __future__ import annotations

from dataclasses import replace

from bson import json_util

from bridge.model.profile import PROFILES
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
    assert text.count("$fullDocument.") == text.count("$fullDocument.id") + text.count(
        "$fullDocument.transition_times"
    )


def test_the_fingerprint_identifies_the_stages() -> None:
    cts = PROFILES["cts"]

    assert fingerprint(cts) == fingerprint(replace(cts))
    assert fingerprint(cts) == fingerprint(replace(cts, collection="other"))
    others = (PROFILES["ee2"], replace(cts, state_field="status"))
    assert len({fingerprint(profile) for profile in (cts, *others)}) == 3
