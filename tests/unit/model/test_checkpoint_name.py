"""The name of a checkpoint that the settings leave open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.checkpoint_entry import CheckpointEntry
from bridge.model.checkpoint_name import (
    FORMER_DEFAULT,
    checkpoint_name,
    stored_name,
    with_checkpoint_name,
)
from bridge.settings import load
from tests.support.factories import checkpoint

OURS = "db.jobs"


def entry(name: str, namespace: str | None = None, damage: str = "") -> CheckpointEntry:
    """An entry of a collection; without a position where the namespace is None."""
    stored = None if namespace is None else replace(checkpoint(1), name=name, namespace=namespace)
    return CheckpointEntry(name, stored, damage=damage)


def test_the_name_is_that_of_the_collection() -> None:
    default = load(None, {}, {})
    other = load(None, {"mongo.collection": "pipeline_jobs"}, {})
    named = load(None, {"checkpoint.name": "nightly"}, {})

    assert checkpoint_name(default) == "cdmtaskservice.jobs"
    assert checkpoint_name(other) == "cdmtaskservice.pipeline_jobs"
    assert checkpoint_name(named) == "nightly"


def test_named_settings_differ_in_the_name_only() -> None:
    settings = load(None, {}, {})

    named = with_checkpoint_name(settings)

    assert settings.checkpoint.name == ""
    assert named == load(None, {"checkpoint.name": "cdmtaskservice.jobs"}, {})


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ([], OURS),
        ([entry("nightly", OURS)], OURS),
        ([entry(FORMER_DEFAULT, OURS)], FORMER_DEFAULT),
        ([entry(FORMER_DEFAULT, "db.other")], OURS),
        ([entry(OURS, OURS), entry(FORMER_DEFAULT, OURS)], FORMER_DEFAULT),
        # A checkpoint without a position was cleared, or its owner has not stored any yet.
        ([entry(FORMER_DEFAULT)], FORMER_DEFAULT),
        ([entry(FORMER_DEFAULT), entry(OURS, OURS)], OURS),
        ([entry(FORMER_DEFAULT, damage="it is not readable")], FORMER_DEFAULT),
        ([entry(FORMER_DEFAULT, damage="it is not readable"), entry(OURS, OURS)], OURS),
    ],
    ids=[
        "empty store", "other name", "former", "former of another collection", "both",
        "former without position", "new and former without position", "damaged former",
        "new and damaged former",
    ],
)  # fmt: skip
def test_the_former_default_stays_in_use(entries: list[CheckpointEntry], name: str) -> None:
    assert stored_name(entries, OURS) == name
