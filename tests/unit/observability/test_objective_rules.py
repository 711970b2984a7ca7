"""The recording rules of the objective, evaluated by promtool."""

from __future__ import annotations

from pathlib import Path

from tests.support.alert_scenario import IN_TIME, ScrapedBridge, check_queries

MINUTES = 60


def late_share(expected: float) -> dict[str, object]:
    """The query of promtool for the share of late transitions at minute 50."""
    query = "max(round(bridge:job_bridge_late_transitions:ratio_30m, 0.001))"
    samples = [{"labels": "{}", "value": expected}]
    return {"expr": query, "eval_time": "50m", "exp_samples": samples}


def test_late_dead_letters_count_once(tmp_path: Path) -> None:
    """All of 600 transitions a minute are late, and all are dead-lettered."""
    bridge = ScrapedBridge("cts", MINUTES)
    bridge.change(IN_TIME, 0, since=0)
    bridge.change(
        "job_bridge_messages_dead_lettered_total", [600 * n for n in range(MINUTES + 1)], since=0
    )

    check_queries(tmp_path, bridge.input(), [late_share(1.0)])


def test_dead_letters_in_time_are_late(tmp_path: Path) -> None:
    """Of 600 transitions a minute 60 are dead-lettered within the second."""
    bridge = ScrapedBridge("cts", MINUTES)
    bridge.change(
        "job_bridge_messages_dead_lettered_total", [60 * n for n in range(MINUTES + 1)], since=0
    )

    check_queries(tmp_path, bridge.input(), [late_share(0.1)])
