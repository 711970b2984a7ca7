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


def test_dead_letters_and_losses_are_late(tmp_path: Path) -> None:
    """They are not among the 600 messages a minute that are in time."""
    bridge = ScrapedBridge("cts", MINUTES)
    for kind in ("dead_lettered", "lost"):
        growing = [100 * n for n in range(MINUTES + 1)]
        bridge.change(f"job_bridge_messages_{kind}_total", growing, since=0)

    check_queries(tmp_path, bridge.input(), [late_share(0.25)])


def test_late_messages_and_dead_letters_add_up(tmp_path: Path) -> None:
    """All of 600 messages a minute are late, beside as many dead letters."""
    bridge = ScrapedBridge("cts", MINUTES)
    bridge.change(IN_TIME, 0, since=0)
    bridge.change(
        "job_bridge_messages_dead_lettered_total", [600 * n for n in range(MINUTES + 1)], since=0
    )

    check_queries(tmp_path, bridge.input(), [late_share(1.0)])
