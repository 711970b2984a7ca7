"""The scheduler of ``verify.every``: its time spans, and failures."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import threading
import time
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.model.position import ClusterTime
from bridge.observability.snapshot import VerificationState, Verified
from bridge.observability.status import LatestVerification
from bridge.verification.scheduler import VerificationScheduler
from tests.support.factories import BASE, checkpoint_at, settings
from tests.support.observed_bridge import ObservedBridge, status_of


def scheduler(bridge: ObservedBridge, **options: str) -> VerificationScheduler:
    """Return a scheduler that reads the status of ``bridge``."""
    status = status_of(bridge, SystemClock())
    return VerificationScheduler(settings(**options), status, LatestVerification())


def test_a_failed_verification_extends_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(subprocess, "Popen", none_left)
    verifying = scheduler(ObservedBridge(), verify__every="1h")

    with caplog.at_level(logging.WARNING):
        assert not verifying._verified(0.0, 60.0)

    assert (
        "the next verification covers its time span again: [Errno 12] Cannot allocate memory"
        in caplog.text
    )


def test_a_running_verification_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its end, also if it gives no result."""
    latest = LatestVerification()
    verifying = VerificationScheduler(
        settings(), status_of(ObservedBridge(), SystemClock()), latest
    )
    seen: list[VerificationState | None] = []

    def fail(*_: float) -> bool:
        seen.append(latest.running(time.monotonic()))
        raise ValueError("no result")

    monkeypatch.setattr(verifying, "_verify", fail)

    assert not verifying._verified(0.0, 60.0)

    assert seen[0] is not None and seen[0].eta_seconds is None
    assert latest.running(time.monotonic()) is None


def test_the_eta_is_by_the_last_result() -> None:
    """It is not known before the first result, nor when the time of the last has passed."""
    latest = LatestVerification()
    latest.begin(100.0)
    first = latest.running(101.0)
    latest.complete(Verified(60.0, 0, 0, 0, 0), 104.0)
    latest.end()
    latest.begin(200.0)
    latest.end()
    latest.begin(300.0)

    assert first == VerificationState(1.0, None)
    assert latest.running(301.0) == VerificationState(1.0, 3.0)
    assert latest.running(305.0) == VerificationState(5.0, None)


def test_wrong_and_strange_messages_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    latest = LatestVerification()
    verifying = VerificationScheduler(
        settings(), status_of(ObservedBridge(), SystemClock()), latest
    )
    counted = {
        "until": "1970-01-01T00:01:00+00:00",
        "compacted": False,
        "missing": 0,
        "repeated": 1,
        "strange": 2,
        "wrong": 3,
    }
    examples = {"strange": ["a", "b"], "wrong": ["c", "d"]}

    verifying._report({**counted, "examples": examples}, "--from X --to Y")

    assert latest.result == Verified(60.0, 0, 1, 2, 3)
    assert "3 wrong and 2 unexpected messages, the first: c; d; a. " in caplog.text
    assert "'job-bridge verify --from X --to Y' names them" in caplog.text


@pytest.mark.parametrize(
    ("compacted", "command"),
    [
        (False, "'job-bridge verify --repair --from X --to Y' sends them"),
        (True, "'job-bridge replay --job ID' sends them"),
    ],
)
def test_a_missing_transition_names_the_remedy(
    compacted: bool, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    verifying = VerificationScheduler(
        settings(), status_of(ObservedBridge(), SystemClock()), LatestVerification()
    )
    counted = {
        "until": "1970-01-01T00:01:00+00:00",
        "missing": 1,
        "repeated": 0,
        "strange": 0,
        "wrong": 0,
    }
    examples = {"missing": ["a"]}

    verifying._report(
        {**counted, "compacted": compacted, "transitions": 2, "examples": examples},
        "--from X --to Y",
    )

    assert command in caplog.text


class Rounds(threading.Event):
    """Ends after ``count`` waits; records how long each was."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count, self.waits = count, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return len(self.waits) > self._count


class BusyRounds(Rounds):
    """Each wait moves the position of ``bridge`` by 100 seconds."""

    def __init__(self, count: int, bridge: ObservedBridge) -> None:
        super().__init__(count)
        self._bridge = bridge

    def wait(self, timeout: float | None = None) -> bool:
        ended = super().wait(timeout)
        moment = ClusterTime(BASE + 100 * len(self.waits))
        self._bridge.position = checkpoint_at(moment).position
        return ended


def spans(
    verifying: VerificationScheduler,
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    *complete: bool,
) -> list[tuple[float, float]]:
    """Run the rounds, which are complete or not; return the time spans that were verified."""
    looked: list[tuple[float, float]] = []

    def verified(begin: float, end: float) -> bool:
        looked.append((begin, end))
        return complete[len(looked) - 1]

    verifying._stop = rounds
    monkeypatch.setattr(verifying, "_verified", verified)
    verifying._run()
    return looked


def test_each_verification_starts_after_the_last_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Changes before a first start are not the bridge's; those during a downtime are."""
    bridge = ObservedBridge(start=checkpoint_at(ClusterTime(BASE)).position)
    rounds = BusyRounds(3, bridge)
    verifying = scheduler(bridge, verify__every="1h", verify__settle_seconds="10")

    looked = spans(verifying, rounds, monkeypatch, True, False, True)

    assert looked == [(BASE, BASE + 90), (BASE + 90, BASE + 190), (BASE + 90, BASE + 290)]
    assert rounds.waits == [60.0, 3600.0, 3600.0, 3600.0]


def test_without_a_stream_the_sweeps_set_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = checkpoint_at(ClusterTime(BASE)).position
    verifying = scheduler(
        ObservedBridge(start=start, position=start, streams=False),
        verify__every="1h",
        verify__settle_seconds="10",
        sweep__every_seconds="20",
        sweep__older_than_seconds="70",
    )

    ((_, end),) = spans(verifying, Rounds(1), monkeypatch, True)

    assert time.time() - 110 < end <= time.time() - 100
