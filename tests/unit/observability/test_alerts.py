"""The alerts in ``config/prometheus``, evaluated by promtool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.alert_scenario import LATE, Alert, ScrapedBridge, check_alerts

CERTIFICATE = 'job_bridge_certificate_not_after_timestamp_seconds{setting="kafka.ssl_certfile"}'
HOUR = 60
DAY = 24 * HOUR
#: Alert, series, its values from minute 20 on, and the minutes after that until the alert fires.
CASES: list[tuple[str, str, float | Sequence[float], int]] = [
    ("NotReady", "job_bridge_ready", 0, 5),
    ("Paused", "job_bridge_paused", 1, 30),
    ("KafkaDown", "job_bridge_kafka_up", 0, 2),
    ("MongoDBDown", "job_bridge_mongodb_up", 0, 2),
    ("CollectionMissing", "job_bridge_collection_exists", 0, HOUR),
    ("Lag", "job_bridge_lag_seconds", 61, 5),
    ("OplogHeadroomLow", "job_bridge_oplog_headroom_seconds", 9_000, 5),
    ("RecoveryHappened", "job_bridge_history_lost_total", 1, 0),
    ("LatestStateOnly", "job_bridge_recovered_latest_state_only_total", 3, 0),
    ("MessagesLost", "job_bridge_messages_lost_total", 1, 0),
    ("DeadLettered", "job_bridge_messages_dead_lettered_total", 1, 0),
    ("Missing", "job_bridge_verified_missing", 1, 0),
    ("Wrong", "job_bridge_verified_wrong", [1, 0], 0),
    ("Strange", "job_bridge_verified_strange", [1, 0], 0),
    ("Fenced", "job_bridge_owner_since_timestamp_seconds", [1, 2, 3, 3], 2),
    ("SessionRestarts", 'job_bridge_restarts_total{reason="kafka"}', [1, 2, 3, 4, 4], 8),
    ("ProcessRestarts", "process_start_time_seconds", [1, 2, 3, 4, 4], 3),
    ("LogLinesDropped", "job_bridge_log_lines_dropped_total", 1, 0),
    ("CertificateExpires", CERTIFICATE, 14 * 86_400, 10),
]


def alerts(*names: str, bridge: str = "cts") -> set[Alert]:
    return {(f"JobBridge{name}", bridge) for name in names}


@pytest.mark.parametrize(("name", "series", "values", "wait"), CASES, ids=[c[0] for c in CASES])
def test_an_alert_fires_for_its_bridge(
    name: str, series: str, values: float | Sequence[float], wait: int, tmp_path: Path
) -> None:
    """It is quiet before, fires after its time, and the other bridge hides nothing."""
    broken, well = ScrapedBridge("cts", 90), ScrapedBridge("ee2", 90)
    broken.change(series, values, since=20)
    due = 20 + wait
    firing = {19: set[Alert](), due: alerts(name), due + 1: alerts(name)}
    if wait:
        firing[due - 1] = set()

    check_alerts(tmp_path, [broken, well], firing)


def test_a_little_headroom_fires_both(tmp_path: Path) -> None:
    bridge = ScrapedBridge("cts", 60)
    bridge.change("job_bridge_oplog_headroom_seconds", 3_600, since=20)

    both = alerts("OplogHeadroomLow", "OplogHeadroomCritical")
    check_alerts(tmp_path, [bridge], {21: alerts("OplogHeadroomCritical"), 26: both})


def test_a_position_that_stands_still(tmp_path: Path) -> None:
    """A recovery keeps the position, and is late, but not stalled."""
    stalled, recovering = ScrapedBridge("cts", 60), ScrapedBridge("ee2", 60)
    for bridge in (stalled, recovering):
        bridge.change("job_bridge_position_timestamp_seconds", 1_140, since=20)
        bridge.change("job_bridge_lag_seconds", [60 * n for n in range(41)], since=20)
    recovering.change('job_bridge_state{state="recovering"}', 1, since=20)

    late = alerts("Lag") | alerts("Lag", bridge="ee2")
    check_alerts(tmp_path, [stalled, recovering], {40: late | alerts("Stalled")})


def test_an_idle_cluster_stalls_nothing(tmp_path: Path) -> None:
    bridge = ScrapedBridge("cts", 60)
    bridge.change("job_bridge_position_timestamp_seconds", 1_140, since=20)

    check_alerts(tmp_path, [bridge], {40: set(), 60: set()})


def pause(bridge: ScrapedBridge, since: int, minutes: int) -> None:
    """Let it be paused while the cluster advances."""
    bridge.change("job_bridge_ready", [0] * minutes, since)
    bridge.change("job_bridge_paused", [1] * minutes, since)
    bridge.change('job_bridge_state{state="running"}', [0] * minutes, since)
    bridge.change('job_bridge_state{state="paused"}', [1] * minutes, since)
    bridge.change("job_bridge_position_timestamp_seconds", [60 * since] * minutes, since)
    bridge.change("job_bridge_lag_seconds", [60 * n for n in range(minutes)], since)


def fail(bridge: ScrapedBridge, server: str, since: int, minutes: int) -> None:
    """Let a server be down, and two sessions fail in each minute of it."""
    up = f"job_bridge_{server}_up"
    restarts = f'job_bridge_restarts_total{{reason="{server}"}}'
    before = bridge.series[restarts][since]
    assert isinstance(before, int)
    bridge.change(up, [0] * minutes, since)
    bridge.change(restarts, [before + 2 * n for n in range(1, minutes + 1)], since)
    bridge.change(restarts, before + 2 * minutes, since + minutes)


@pytest.mark.parametrize(
    ("server", "name"), [("kafka", "KafkaDown"), ("mongodb", "MongoDBDown")], ids=lambda v: v
)
def test_an_outage_raises_its_alert_only(server: str, name: str, tmp_path: Path) -> None:
    """The sessions that fail in it raise none, neither during the outage nor after it."""
    bridge, well = ScrapedBridge("cts", 3 * HOUR), ScrapedBridge("ee2", 3 * HOUR)
    fail(bridge, server, since=20, minutes=40)

    down = {minute: alerts(name) for minute in range(22, 60)}
    quiet = {minute: set[Alert]() for minute in (*range(22), *range(60, 3 * HOUR))}
    check_alerts(tmp_path, [bridge, well], down | quiet)


def test_failures_after_an_outage_are_alerted(tmp_path: Path) -> None:
    """So are short outages that return, which have no other alert."""
    failing, short = ScrapedBridge("cts", 3 * HOUR), ScrapedBridge("ee2", 3 * HOUR)
    fail(failing, "kafka", since=20, minutes=10)
    restarts = 'job_bridge_restarts_total{reason="kafka"}'
    failing.change(restarts, [20 + n for n in range(3 * HOUR - 60)], since=60)
    for minute in range(60, 2 * HOUR, 10):
        fail(short, "kafka", since=minute, minutes=1)

    both = alerts("SessionRestarts") | alerts("SessionRestarts", bridge="ee2")
    firing = {25: alerts("KafkaDown"), 60: set[Alert](), 75: both, 100: both}
    check_alerts(tmp_path, [failing, short], firing)


def test_a_paused_bridge_is_a_ticket(tmp_path: Path) -> None:
    """Neither its lag nor its readiness pages; its standby is not ready either."""
    bridge, standby = ScrapedBridge("cts", 90), ScrapedBridge("cts", 90, instance="other:9595")
    pause(bridge, 20, 40)
    standby.change("job_bridge_ready", 0, since=0)

    paused = {minute: alerts("Paused") for minute in range(50, 60)}
    quiet = {minute: set[Alert]() for minute in (*range(50), *range(60, 90))}
    check_alerts(tmp_path, [bridge, standby], paused | quiet)


def test_a_pause_does_not_hide_the_oplog(tmp_path: Path) -> None:
    bridge = ScrapedBridge("cts", 60)
    pause(bridge, 20, 40)
    bridge.change("job_bridge_oplog_headroom_seconds", 3_600, since=30)

    both = alerts("OplogHeadroomLow", "OplogHeadroomCritical")
    check_alerts(tmp_path, [bridge], {29: set(), 40: both})


def test_a_paused_standby_hides_nothing(tmp_path: Path) -> None:
    owner, standby = ScrapedBridge("cts", 60), ScrapedBridge("cts", 60, instance="other:9595")
    for process in (owner, standby):
        process.change("job_bridge_ready", 0, since=20)
    standby.change("job_bridge_paused", 1, since=20)

    check_alerts(tmp_path, [owner, standby], {30: alerts("NotReady")})


@pytest.mark.parametrize("known", [True, False], ids=["refused", "removed"])
def test_one_dead_bridge_of_two(known: bool, tmp_path: Path) -> None:
    """Whether its target is still listed or not."""
    dead, well = ScrapedBridge("cts", 90), ScrapedBridge("ee2", 90)
    dead.end(20, known=known)

    process = alerts("ProcessDown") if known else set()
    firing = {22: set[Alert](), 23: alerts("NotScraped"), 26: alerts("NotScraped") | process}
    check_alerts(tmp_path, [dead, well], firing)


def test_a_dead_standby_is_a_ticket(tmp_path: Path) -> None:
    """A standby is not ready; its bridge is, because the owner is."""
    owner, standby = ScrapedBridge("cts", 60), ScrapedBridge("cts", 60, instance="other:9595")
    standby.change("job_bridge_ready", 0, since=0)
    standby.end(20)

    check_alerts(tmp_path, [owner, standby], {19: set(), 30: alerts("ProcessDown")})


def test_no_bridge_at_all(tmp_path: Path) -> None:
    check_alerts(tmp_path, [], {20: {("JobBridgeAbsent", "")}})


def test_a_day_of_idleness_is_quiet(tmp_path: Path) -> None:
    bridge = ScrapedBridge("cts", DAY, rate=0)

    check_alerts(tmp_path, [bridge], {minute: set() for minute in range(10, DAY, 30)})


def test_a_planned_restart_is_quiet(tmp_path: Path) -> None:
    """Two minutes without the process, then counters at 0, a new owner, and a short lag."""
    bridge = ScrapedBridge("cts", 90)
    for series, since in (
        ("process_start_time_seconds", 2_000),
        ("job_bridge_owner_since_timestamp_seconds", 2_000),
    ):
        bridge.change(series, since, since=22)
    for series in ('job_bridge_delivery_latency_seconds_bucket{le="1.0"}', LATE):
        bridge.change(series, [600 * n for n in range(68)], since=22)
    bridge.change("job_bridge_ready", 0, since=22)
    bridge.change("job_bridge_ready", 1, since=23)
    bridge.change("job_bridge_lag_seconds", [120], since=22)
    bridge.end(20, 22)

    check_alerts(tmp_path, [bridge], {minute: set() for minute in range(90)})


def test_a_scrape_gap_is_quiet(tmp_path: Path) -> None:
    """Prometheus misses samples of all targets, which is no news about the bridges."""
    bridges = [ScrapedBridge("cts", 90), ScrapedBridge("ee2", 90)]
    for bridge in bridges:
        bridge.miss(20, 27)

    check_alerts(tmp_path, bridges, {minute: set() for minute in range(90)})


def test_a_first_scrape_may_show_the_event(tmp_path: Path) -> None:
    """A bridge that starts with a lost resume point has counted it before the first scrape."""
    bridge = ScrapedBridge("cts", 120)
    bridge.change("job_bridge_history_lost_total", 1, since=0)
    bridge.end(0, 10, known=False)

    happened = alerts("RecoveryHappened")
    check_alerts(tmp_path, [bridge], {10: happened, 69: happened, 75: set()})


def late(bridge: ScrapedBridge, per_minute: float, since: int, minutes: int) -> None:
    """Add late transitions beside those in time."""
    samples = bridge.series[LATE]
    for minute in range(since, len(samples)):
        before = samples[minute]
        assert not isinstance(before, str)
        samples[minute] = before + per_minute * min(minute - since + 1, minutes)


def test_a_fast_burn_pages_and_ends(tmp_path: Path) -> None:
    """Of 600 transitions a minute 60 are late for an hour: a hundred times the budget."""
    bridge, well = ScrapedBridge("cts", 3 * HOUR), ScrapedBridge("ee2", 3 * HOUR)
    late(bridge, 60, since=60, minutes=60)

    fast = alerts("BudgetBurnsFast", "BudgetBurns", "BudgetBurnsSlowly")
    check_alerts(tmp_path, [bridge, well], {59: set(), 100: fast})
    # The short window ends the alert before the long one would.
    ended = alerts("BudgetBurnsSlowly")
    check_alerts(tmp_path, [bridge, well], {160: ended})


@pytest.mark.parametrize(
    ("per_minute", "names"),
    [
        (0.5, ()),
        (1.2, ("BudgetBurnsSlowly",)),
        (5.0, ("BudgetBurnsSlowly", "BudgetBurns")),
        (12.0, ("BudgetBurnsSlowly", "BudgetBurns", "BudgetBurnsFast")),
    ],
)
def test_each_burn_has_its_threshold(
    per_minute: float, names: tuple[str, ...], tmp_path: Path
) -> None:
    """Of 600 transitions a minute 0.6 may be late."""
    bridge = ScrapedBridge("cts", DAY)
    late(bridge, per_minute, since=0, minutes=DAY)

    check_alerts(tmp_path, [bridge], {DAY - 1: alerts(*names)})


def test_few_late_transitions_burn_nothing(tmp_path: Path) -> None:
    """With a transition a minute, a restart that delays three is not an incident."""
    bridge = ScrapedBridge("cts", 3 * HOUR, rate=1)
    late(bridge, 1, since=60, minutes=3)

    check_alerts(tmp_path, [bridge], {minute: set() for minute in range(10, 3 * HOUR, 5)})


def test_a_late_backlog_burns_for_hours(tmp_path: Path) -> None:
    """As `docs/quickstart.md` says of an otherwise idle bridge after an outage."""
    bridge = ScrapedBridge("cts", 8 * HOUR, rate=0)
    bridge.change(LATE, 40, since=60)

    slowly = alerts("BudgetBurnsSlowly")
    burns = slowly | alerts("BudgetBurns")
    firing = {62: burns | alerts("BudgetBurnsFast"), 72: burns, 92: burns, 98: slowly}
    check_alerts(tmp_path, [bridge], firing | {7 * HOUR: slowly, 7 * HOUR + 6: set()})


def test_lost_messages_burn_the_budget(tmp_path: Path) -> None:
    bridge = ScrapedBridge("cts", 2 * HOUR)
    bridge.change("job_bridge_messages_lost_total", [60 * n for n in range(61)], since=60)

    burns = alerts("BudgetBurnsFast", "BudgetBurns", "BudgetBurnsSlowly")
    check_alerts(tmp_path, [bridge], {110: burns | alerts("MessagesLost")})
