"""The alerts on the findings of a verification, when processes restart or move."""

from __future__ import annotations

from pathlib import Path

from tests.support.alert_scenario import ScrapedBridge, check_alerts
from tests.unit.observability.test_alerts import alerts

FINDINGS = ("Missing", "Wrong", "Strange")


def test_findings_outlive_their_process(tmp_path: Path) -> None:
    """A roll-out replaces the instance; the new process verifies from its own start only."""
    old = ScrapedBridge("cts", 90)
    new = ScrapedBridge("cts", 90, instance="other:9595")
    for name in FINDINGS:
        old.change(f"job_bridge_verified_{name.lower()}", 2, since=20)
    old.end(40, known=False)
    new.end(0, 40, known=False)

    found = alerts(*FINDINGS)
    check_alerts(tmp_path, [old, new], {19: set(), 21: found, 41: found, 89: found})


def test_findings_outlive_a_restart(tmp_path: Path) -> None:
    """The instance stays; the new process has not verified yet."""
    bridge = ScrapedBridge("cts", 90)
    for name in FINDINGS:
        bridge.change(f"job_bridge_verified_{name.lower()}", 2, since=20)
        bridge.series[f"job_bridge_verified_{name.lower()}"][40:] = ["stale", *["_"] * 50]

    check_alerts(tmp_path, [bridge], {60: alerts(*FINDINGS)})


def test_a_repair_ends_the_alert(tmp_path: Path) -> None:
    """The process verifies the same time span again; its end does not bring the alert back."""
    bridge, standby = ScrapedBridge("cts", 90), ScrapedBridge("cts", 90, instance="other:9595")
    bridge.change("job_bridge_verified_missing", [3] * 20, since=20)
    bridge.end(60, known=False)

    check_alerts(tmp_path, [bridge, standby], {39: alerts("Missing"), 40: set(), 80: set()})
