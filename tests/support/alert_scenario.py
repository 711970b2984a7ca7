"""Bridges as Prometheus has scraped them, and the alerts that promtool then expects to fire."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.servers import prometheus
from tests.support.servers.prometheus import RULE_FILES, RULES

LATE = "job_bridge_delivery_latency_seconds_count"
IN_TIME = 'job_bridge_delivery_latency_seconds_bucket{le="1.0"}'
#: Name of the alert and of the bridge; the latter is empty where there is no bridge.
Alert = tuple[str, str]

#: The groups of rules in the order of their dependence; without it promtool's order is random.
_GROUPS = ("job-bridge-processes", "job-bridge-objective", "job-bridge")
#: The constant series of a bridge that is well.
_CONSTANT = {
    "up": 1,
    "job_bridge_ready": 1,
    "job_bridge_kafka_up": 1,
    "job_bridge_mongodb_up": 1,
    "job_bridge_collection_exists": 1,
    "job_bridge_lag_seconds": 0,
    "job_bridge_oplog_headroom_seconds": 36_000,
    "job_bridge_oplog_window_seconds": 36_010,
    "job_bridge_owner_since_timestamp_seconds": 1_000,
    "job_bridge_verified_missing": 0,
    "job_bridge_verified_strange": 0,
    "job_bridge_verified_wrong": 0,
    'job_bridge_state{state="running"}': 1,
    'job_bridge_state{state="recovering"}': 0,
    'job_bridge_state{state="paused"}': 0,
    "job_bridge_paused": 0,
    'job_bridge_certificate_not_after_timestamp_seconds{setting="kafka.ssl_certfile"}': 10**9,
    "job_bridge_history_lost_total": 0,
    "job_bridge_recovered_latest_state_only_total": 0,
    "job_bridge_messages_lost_total": 0,
    "job_bridge_messages_dead_lettered_total": 0,
    "job_bridge_log_lines_dropped_total": 0,
    'job_bridge_restarts_total{reason="kafka"}': 0,
    'job_bridge_restarts_total{reason="mongodb"}': 0,
    "process_start_time_seconds": 1_000,
}


class ScrapedBridge:
    """The series of a process of a bridge, a sample a minute; at first all is well.

    It delivers ``rate`` transitions a minute in time.
    """

    def __init__(self, name: str, minutes: int, *, rate: int = 600, instance: str = "") -> None:
        self._instance = instance or f"{name}:9595"
        about = f'name="{name}",namespace="db.{name}",topic="{name}-topic"'
        info = f'job_bridge_info{{{about},driver="librdkafka",mode="at-least-once",version="1"}}'
        count = minutes + 1
        self.series: dict[str, list[float | str]] = {
            series: [value] * count for series, value in {**_CONSTANT, info: 1}.items()
        }
        self.series["job_bridge_position_timestamp_seconds"] = [60 * n for n in range(count)]
        for series in (LATE, IN_TIME):
            self.series[series] = [rate * n for n in range(count)]

    def change(self, series: str, values: float | Sequence[float], since: int) -> None:
        """Replace the samples from the minute ``since`` on; a number stays until the end."""
        old = self.series[series]
        new = list(values) if isinstance(values, Sequence) else [values] * (len(old) - since)
        old[since : since + len(new)] = new

    def end(self, since: int, until: int | None = None, *, known: bool = True) -> None:
        """Let scrapes fail from the minute ``since`` on, before the minute ``until``.

        Args:
            known: Whether service discovery still lists the process.
        """
        for series, samples in self.series.items():
            end = len(samples) if until is None else until
            gone: list[float | str] = ["stale", *["_"] * (end - since - 1)]
            samples[since:end] = [0] * (end - since) if series == "up" and known else gone

    def miss(self, since: int, until: int) -> None:
        """Leave out the scrapes of these minutes, as a Prometheus that stands still does."""
        for samples in self.series.values():
            samples[since:until] = ["_"] * (until - since)

    def input(self) -> list[dict[str, str]]:
        """Return the series in promtool's notation."""
        labels = f'job="job-bridge",instance="{self._instance}"'
        return [
            {
                "series": f"{name.replace('}', ',') if '{' in name else f'{name}{{'}{labels}}}",
                "values": " ".join(map(str, samples)),
            }
            for name, samples in self.series.items()
        ]


def check_alerts(
    folder: Path, bridges: Sequence[ScrapedBridge], firing: Mapping[int, set[Alert]]
) -> None:
    """Assert that exactly the alerts in ``firing`` fire at each of its minutes."""
    series = [series for bridge in bridges for series in bridge.input()]
    check_queries(folder, series, [_expected(minute, alerts) for minute, alerts in firing.items()])


def check_queries(
    folder: Path, series: Sequence[Mapping[str, str]], expected: Sequence[Mapping[str, object]]
) -> None:
    """Let promtool evaluate the rules and then queries; both arguments are in its notation."""
    for name in RULE_FILES:
        (folder / name).write_text((RULES / name).read_text())
    case = {"interval": "1m", "input_series": series, "promql_expr_test": expected}
    document = {
        "rule_files": RULE_FILES,
        "evaluation_interval": "1m",
        "group_eval_order": _GROUPS,
        "tests": [case],
    }
    tests = folder / "tests.yml"
    tests.write_text(json.dumps(document))
    done = subprocess.run(
        [prometheus.program("promtool"), "test", "rules", tests],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _expected(minute: int, alerts: set[Alert]) -> dict[str, object]:
    samples = [
        {
            "labels": f'{{alertname="{alert}"' + (f',name="{name}"}}' if name else "}"),
            "value": 1,
        }
        for alert, name in sorted(alerts)
    ]
    query = 'max by (alertname, name) (ALERTS{alertstate="firing"})'
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": samples}
