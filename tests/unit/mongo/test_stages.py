"""The stages the server runs: minimal, stable, and identified."""

from __future__ import annotations

from dataclasses import replace

from bson import json_util

from bridge.model.profile import PROFILES
from bridge.mongo.stages import fingerprint, shaping_stages


def test_the_server_shapes_first_and_filters_what_it_shaped() -> None:
    for profile in PROFILES.values():
        project, match = shaping_stages(profile)

        assert list(project) == ["$project"] and list(match) == ["$match"]
        assert "_id" not in project["$project"], (
            "without its own token an event cannot be resumed from"
        )


def test_no_part_of_a_job_but_id_state_and_history_leaves_the_server() -> None:
    text = json_util.dumps(shaping_stages(PROFILES["cts"]))

    assert "job_input" not in text and '$fullDocument"' not in text
    assert text.count("$fullDocument.") == text.count("$fullDocument.id") + text.count(
        "$fullDocument.transition_times"
    )


def test_the_fingerprint_tells_stages_apart_and_is_the_same_for_the_same() -> None:
    cts = PROFILES["cts"]

    assert fingerprint(cts) == fingerprint(replace(cts))
    assert fingerprint(cts) == fingerprint(replace(cts, collection="other"))
    assert (
        len(
            {fingerprint(one) for one in (cts, PROFILES["ee2"], replace(cts, state_field="status"))}
        )
        == 3
    )
