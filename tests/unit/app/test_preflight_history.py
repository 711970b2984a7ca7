"""The findings of ``check`` on a recovery: the index, and jobs without an update time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.app.finding import Finding
from bridge.app.preflight_mongodb import _history
from bridge.model.profile import profile_of
from bridge.mongo.source import MongoSource
from tests.support.factories import settings

CUSTOM = {"jobs__profile": "custom", "jobs__id_field": "_id", "jobs__state_field": "state"}


def findings(unindexed: str = "", **jobs: Any) -> list[Finding]:
    chosen = settings(**CUSTOM, **jobs)
    source = SimpleNamespace(
        profile=profile_of(chosen),
        collection_exists=lambda: True,
        history=SimpleNamespace(unindexed_field=lambda: unindexed),
    )
    return list(_history(chosen, cast(MongoSource, source)))


def test_without_an_update_time_every_job_is_read() -> None:
    (finding,) = findings(jobs__transitions_field="log")

    assert finding.text == (
        "jobs.updated_field is empty: after a lost resume point every job is read"
    )


@pytest.mark.parametrize(
    ("updated", "words"),
    [("changed", "only the latest state of each"), ("", "becomes a dead letter")],
)
def test_without_a_history_the_time_decides(updated: str, words: str) -> None:
    *_, finding = findings(jobs__updated_field=updated)

    assert finding.level == "warning" and words in finding.text


def test_an_index_is_found_or_missing() -> None:
    (found,) = findings(jobs__transitions_field="log", jobs__updated_field="changed")
    (missing,) = findings("changed", jobs__transitions_field="log", jobs__updated_field="changed")

    assert "by an index on their last update" in found.text
    assert missing.level == "warning" and "no index on changed:" in missing.text
