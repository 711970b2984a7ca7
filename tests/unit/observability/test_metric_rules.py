"""The rules of ``promtool check metrics`` for everything that ``/metrics`` serves."""

from __future__ import annotations

import re
import subprocess
from types import SimpleNamespace
from typing import cast

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from bridge.app.lifecycle import State
from bridge.observability.certificates import Certificates
from bridge.observability.counters import Counters
from bridge.observability.metrics import GAUGES, registry
from bridge.observability.snapshot import (
    HealthState,
    OplogTimes,
    OwnershipState,
    RecoveryState,
    Verified,
)
from tests.support.factories import at, checkpoint
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import FixedHealth, ObservedBridge, status_of
from tests.support.servers import prometheus
from tests.unit.observability.test_metrics import FixedStatus

#: Units that are not Prometheus' base units, and names of types (promlint).
NO_BASE_UNIT = re.compile(
    r"_(milliseconds|microseconds|nanoseconds|minutes|hours|days|kilobytes|megabytes|percent)(_|$)"
)
TYPE_IN_NAME = re.compile(r"_(gauge|counter|histogram|summary)(_|$)")
RESERVED_ENDS = ("_total", "_count", "_sum", "_bucket")


def full_registry() -> CollectorRegistry:
    """Return a registry in which every metric has a value."""
    counters = Counters()
    counters.skip("delete")
    counters.acknowledge([1.0], 2.0)
    bridge = ObservedBridge(counters=counters, position=at(3), reached=at(4), stored=checkpoint(1))
    oplog = OplogTimes(at(9).cluster_time, at(0).cluster_time)
    health = FixedHealth(
        HealthState(
            kafka_up=True,
            mongodb_up=True,
            collection_exists=True,
            oplog=oplog,
            ownership=OwnershipState("a bridge", 1.0, ("a standby",), is_us=True),
        )
    )
    snapshot = status_of(bridge, FakeClock(), health).snapshot()
    whole = {
        name: getattr(snapshot, name)
        for name in snapshot.__slots__
        if name not in ("recovery", "verified")
    }
    certificates = SimpleNamespace(not_after=lambda: (("kafka.ssl_certfile", 1.0),))
    return registry(
        FixedStatus(
            type(snapshot)(
                **whole,
                recovery=RecoveryState(11, 7, 3.0, "", {}),
                verified=Verified(1.0, 2, 3, 4, 5),
            )
        ),
        [*State],
        cast(Certificates, certificates),
    )


def page() -> str:
    return generate_latest(full_registry()).decode()


def families() -> list[Metric]:
    return list(text_string_to_metric_families(page()))


def test_every_metric_is_on_the_page() -> None:
    """The other tests of this file would pass without them."""
    assert set(GAUGES) <= {family.name for family in families()}


def test_every_metric_has_a_help() -> None:
    assert [family.name for family in families() if not family.documentation] == []


def test_only_counters_end_in_total() -> None:
    samples = {sample.name for f in families() if f.type == "counter" for sample in f.samples}
    assert [name for name in samples if not name.endswith("_total")] == []

    others = [f.name for f in families() if f.type in ("gauge", "histogram")]
    assert [name for name in others if name.endswith(RESERVED_ENDS)] == []


def test_names_have_base_units_and_no_types() -> None:
    names = [family.name for family in families()]

    assert [name for name in names if NO_BASE_UNIT.search(name)] == []
    assert [name for name in names if TYPE_IN_NAME.search(name)] == []
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


def test_only_histograms_have_the_label_le() -> None:
    labels = {
        (family.type, label)
        for family in families()
        for sample in family.samples
        for label in sample.labels
    }

    assert {kind for kind, label in labels if label in ("le", "quantile")} == {"histogram"}
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for _, label in labels)


def test_the_page_is_valid_openmetrics() -> None:
    text = generate_openmetrics(full_registry()).decode()  # type: ignore[no-untyped-call]

    parsed = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    assert {family.name for family in parsed} == {family.name for family in families()}


def test_promtool_finds_nothing() -> None:
    promtool = prometheus.program("promtool")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page(), capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
