"""The warnings that the status shows: bounded, repeats together, values of jobs apart."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from bridge.logs import BatchNotes, Repeated, recent_warnings, set_up
from bridge.logs.recent_warnings import MAX_LINES, LogText

LOG = logging.getLogger("bridge.test")


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Set up a log of its own; restore the loggers after a test."""
    root, bridge = logging.getLogger(), logging.getLogger("bridge")
    before = root.handlers[:], root.level, bridge.level
    set_up("plain", "info", io.StringIO())
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    bridge.setLevel(before[2])


def test_warnings_are_kept_latest_first() -> None:
    LOG.info("ready")
    LOG.warning("Kafka is slow")
    LOG.error("a broker is missing")
    logging.getLogger("other").error("not of the bridge")

    latest = recent_warnings()

    assert [warning.text for warning in latest] == ["a broker is missing", "Kafka is slow"]
    assert [warning.level for warning in latest] == ["error", "warning"]


def test_repeats_are_kept_together() -> None:
    """The first time stays, and another line that came between is older now."""
    failures = Repeated(LOG, seconds=10.0)
    failures.failed(0.0, "No broker answers. Nothing is lost. Start Kafka", todo="Start Kafka")
    LOG.warning("stalled for 1 s")
    LOG.warning("stalled for 2.5 s")
    failures.failed(31.0, "No broker answers. Nothing is lost. Start Kafka", todo="Start Kafka")

    failure, stall = recent_warnings()

    assert failure.text == "No broker answers. Nothing is lost. Start Kafka"
    assert (failure.todo, failure.details) == ("Start Kafka", "(for 31 s, 2 times)")
    assert failure.first <= stall.first <= stall.last <= failure.last
    assert stall.text == "stalled for 2.5 s"


def test_the_log_ends_with_the_action(caplog: pytest.LogCaptureFixture) -> None:
    """Also for readers of the status who see no details."""
    LOG.warning(LogText("2 are missing", ", the first: job 7", todo="A repair sends them"))

    (warning,) = recent_warnings()

    assert caplog.messages == ["2 are missing, the first: job 7. A repair sends them"]
    assert warning[3:] == ("2 are missing", "the first: job 7", "A repair sends them")


def test_values_of_jobs_are_details() -> None:
    notes = BatchNotes(LOG)
    notes.add("a job was deleted", "job <b>7", job_id="7")
    notes.add("a job was deleted", "job 8", job_id="8")
    notes.log()

    (warning,) = recent_warnings()

    assert warning.text == "a job was deleted"
    assert warning.details == "job <b>7 (1 more in the same batch) job_id=7"


def test_memory_of_warnings_is_bounded() -> None:
    for number in range(3 * MAX_LINES):
        LOG.warning("%s" + "x" * 10_000 + "\n", chr(ord("A") + number))

    latest = recent_warnings()

    assert len(latest) == MAX_LINES
    assert latest[0].text[0] == chr(ord("A") + 3 * MAX_LINES - 1)
    assert all(len(warning.text) == 1000 for warning in latest)


def test_no_log_has_no_warnings() -> None:
    logging.getLogger().handlers[:] = []
    assert recent_warnings() == ()
