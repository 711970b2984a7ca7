"""Where a recovery starts, from a checkpoint: at its cursor, and an hour before it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bridge.errors import CheckpointUnusable
from bridge.model.checkpoint import checkpoint_of
from bridge.model.gap import Gap
from tests.support.factories import BASE, at, checkpoint


def test_older_versions_find_no_place_by_id() -> None:
    """They read the gap from its start then."""
    position = at(1)._replace(recovery_cursor="i65e5f0a1b2c3d4e5")
    stored = replace(checkpoint(), position=position, gap=Gap(1.0, at(5), 2.0))

    record = stored.record()

    assert (record["place"], record["gap"]["place_by_id"]) == ("", "i65e5f0a1b2c3d4e5")
    assert checkpoint_of(record, "here") == stored


def test_the_place_of_an_older_version_is_dropped() -> None:
    """That version has not read the jobs that were created in the gap."""
    cursor = "t" + "0" * 16
    position = at(1)._replace(recovery_cursor=cursor)
    stored = replace(checkpoint(), position=position, gap=Gap(1.0, at(5), 2.0))
    record = stored.record()
    assert checkpoint_of(record, "here") == stored

    del record["gap"]["place_by_id"]

    assert checkpoint_of(record, "here").position == at(1)


@pytest.mark.parametrize("value", [None, 5, "i", "t" + "0" * 16, "i" + "0" * 17])
def test_another_place_by_id_is_damage(value: object) -> None:
    record = replace(checkpoint(), gap=Gap(1.0, at(5), 2.0)).record()
    record["gap"]["place_by_id"] = value

    with pytest.raises(CheckpointUnusable, match="damaged"):
        checkpoint_of(record, "here")


@pytest.mark.parametrize("ahead", [61.0, 3000.0, 3600.0])
def test_a_cluster_time_ahead_leaves_the_margin(ahead: float) -> None:
    """A recovery's hour would otherwise begin that much later."""
    stored = replace(checkpoint(0), saved_at=BASE - ahead)

    assert stored.delivered_by(3600.0) == BASE - ahead


@pytest.mark.parametrize(("ahead", "margin"), [(60.0, 3600.0), (1.0, 1.0), (-900.0, 3600.0)])
def test_clocks_that_agree_bound_nothing(ahead: float, margin: float) -> None:
    stored = replace(checkpoint(0), saved_at=BASE - ahead)

    assert stored.delivered_by(margin) == math.inf
