"""The times of answers with ``--json``: ISO 8601, whatever their place in the document."""

from __future__ import annotations

from bridge.cli.times import with_iso_times

DAY = 86_400


def test_every_time_is_iso() -> None:
    document = {
        "warnings": [{"first": DAY, "last": DAY + 0.5, "text": "x"}],
        "checkpoint": {"saved_at": float(DAY), "gap": {"since": DAY, "recent": DAY}},
        "ownership": {"since": DAY},
        "verified": {"until": DAY, "missing": 3},
    }

    time = "1970-01-02T00:00:00+00:00"
    assert with_iso_times(document) == {
        "warnings": [{"first": time, "last": time, "text": "x"}],
        "checkpoint": {"saved_at": time, "gap": {"since": time, "recent": time}},
        "ownership": {"since": time},
        "verified": {"until": time, "missing": 3},
    }


def test_other_values_stay() -> None:
    document = {
        "cluster_time": [DAY, 1],
        "saved_at": 0,
        "recovery": {"until": "a position", "since": None},
        "gauges": {"job_bridge_checkpoint_timestamp_seconds": DAY},
    }

    assert with_iso_times(document) == {**document, "saved_at": None}
