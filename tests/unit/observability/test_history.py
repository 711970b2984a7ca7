"""The history of the status page: rates, latencies, the objective, and bounded memory."""

from __future__ import annotations

import pytest

from bridge.observability.history import HISTORY_SECONDS, SAMPLE_SECONDS, History, quantile
from tests.support.fakes import FakeClock
from tests.support.observed_bridge import ObservedBridge, status_of


class SampledBridge:
    """A bridge of which samples are taken, on a clock that tests advance."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bridge = ObservedBridge(last_beat=self.clock.monotonic())
        self.history = History()
        self._status = status_of(self.bridge, self.clock)

    def acknowledge(self, count: int, seconds: float) -> None:
        """Acknowledge messages that took this long."""
        now = self.clock.now()
        self.bridge.counters.acknowledge([now - seconds] * count, now)

    def sample(self) -> None:
        now, moment = self.clock.now(), self.clock.monotonic()
        if self.history.is_due(moment):
            self.history.add(self._status.snapshot(), time=now, moment=moment)
        self.clock.advance(SAMPLE_SECONDS)


def test_rates_and_latencies_are_per_sample() -> None:
    sampled = SampledBridge()
    sampled.sample()
    sampled.acknowledge(50, 0.03)
    sampled.sample()
    sampled.sample()

    first, second = sampled.history.document(0)["samples"]
    assert first["rate"] == 10
    assert 0.02 < first["p50"] < first["p99"] <= 0.05
    assert (second["rate"], second["p50"], second["p99"]) == (0, None, None)


def test_memory_of_samples_is_bounded() -> None:
    sampled = SampledBridge()
    for _ in range(1000):
        sampled.sample()

    samples = sampled.history.document(0)["samples"]
    assert len(samples) == HISTORY_SECONDS / SAMPLE_SECONDS
    assert samples[-1]["time"] - samples[0]["time"] == HISTORY_SECONDS - SAMPLE_SECONDS


def test_samples_keep_their_distance() -> None:
    sampled = SampledBridge()
    sampled.sample()
    assert sampled.history.is_due(sampled.clock.monotonic())
    assert not sampled.history.is_due(sampled.clock.monotonic() - 0.1)


def test_the_budget_shrinks_with_late_messages() -> None:
    sampled = SampledBridge()
    sampled.acknowledge(1999, 0.5)
    sampled.acknowledge(1, 2.0)
    sampled.sample()

    objective = sampled.history.document(0)["objective"]
    assert objective["share"] == 0.9995
    assert objective["budget_left"] == pytest.approx(0.5)
    assert objective["recent_share"] is None


def test_dead_letters_and_losses_are_late() -> None:
    """As the recording rules count them: neither is among the latencies."""
    sampled = SampledBridge()
    sampled.acknowledge(1000, 0.5)
    sampled.sample()
    counters = sampled.bridge.counters
    sampled.acknowledge(986, 0.5)
    counters.dead_lettered += 9
    counters.lost += 5
    sampled.sample()

    objective = sampled.history.document(0)["objective"]
    assert objective["share"] == pytest.approx(1986 / 2000)
    assert objective["recent_share"] == pytest.approx(986 / 1000)


def test_an_idle_bridge_has_no_share() -> None:
    sampled = SampledBridge()
    assert sampled.history.document(0)["objective"]["share"] is None
    sampled.sample()
    assert sampled.history.document(0)["objective"]["budget_left"] is None


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.5),
        ([10, 10, 0], 0.75, 2.0),
        # Above the last bound nothing is known.
        ([0, 0, 5], 0.5, 3.0),
    ],
)
def test_quantiles(counts: list[int], share: float, expected: float | None) -> None:
    assert quantile((1.0, 3.0), counts, share) == expected
