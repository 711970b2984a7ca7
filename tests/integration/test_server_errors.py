"""Errors a server gives in the middle of a stream: each is waited out, and the next stream misses and repeats nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bridge.demo.servers.mongod import Mongod
from bridge.errors import BridgeError, NotPermitted, ResumePointLost, Retryable, Unreadable
from bridge.model.position import position_before
from bridge.mongo.client import AWAIT_MS
from tests.support.source_jobs import Jobs, Seen

#: What the driver specification calls resumable, and what passes besides.
PASSING = (
    6,
    7,
    43,
    50,
    63,
    89,
    91,
    133,
    134,
    150,
    175,
    189,
    211,
    234,
    237,
    262,
    9001,
    10107,
    11600,
    11601,
    11602,
    13388,
    13435,
    13436,
)
FINAL: list[tuple[int, type[BridgeError]]] = [
    (286, ResumePointLost),
    (136, ResumePointLost),
    (13, NotPermitted),
    (10334, Unreadable),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A mongod that can be told to fail."""
    with Mongod(
        tmp_path_factory.mktemp("failing"), arguments=("--setParameter", "enableTestCommands=1")
    ) as server:
        yield server


@pytest.fixture
def jobs(server: Mongod, database: str) -> Iterator[Jobs]:
    # After some of these errors the driver avoids the server until it has looked at it again.
    with Jobs(f"{server.uri}&heartbeatFrequencyMS=500", database) as jobs:
        yield jobs


@contextmanager
def failing(jobs: Jobs, command: str, times: int = 1, **how: Any) -> Iterator[None]:
    """The next so many of these commands of the bridge fail."""
    data = {"failCommands": [command], "appName": "job-bridge", **how}
    jobs.client.admin.command(
        {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data}
    )
    try:
        yield
    finally:
        jobs.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def read_through(jobs: Jobs, failure: dict[str, Any]) -> tuple[list[Seen], list[Seen], BridgeError]:
    """Write, fail, write, and go on from the last position: what was written, what was read, what was said."""
    written = jobs.many(3)
    start = position_before(jobs.here().cluster_time)
    with jobs.reading(start) as reader:
        written = jobs.many(3)
        reader.take(3)
        with failing(jobs, "getMore", **failure):
            error = reader.end()
        written += jobs.many(2)
    with jobs.reading(reader.position) as rest:
        rest.take(len(written) - len(reader.seen))
        written += jobs.many(1)
        rest.take(len(written) - len(reader.seen))
    return written, reader.seen + rest.seen, error


@pytest.mark.parametrize("code", PASSING)
def test_an_error_that_passes_ends_the_stream_and_the_next_misses_and_repeats_nothing(
    jobs: Jobs, code: int
) -> None:
    written, read, error = read_through(jobs, {"errorCode": code})

    assert type(error) is Retryable and error.part == "mongodb"
    assert read == written


def test_a_connection_that_breaks_is_the_same(jobs: Jobs) -> None:
    written, read, error = read_through(jobs, {"closeConnection": True})

    assert type(error) is Retryable
    assert read == written


@pytest.mark.parametrize(("code", "verdict"), FINAL)
def test_an_error_that_does_not_pass_says_so(
    jobs: Jobs, code: int, verdict: type[BridgeError]
) -> None:
    with jobs.reading() as reader:
        written = jobs.many(1)
        reader.take(1)
        with failing(jobs, "getMore", errorCode=code):
            assert type(reader.end()) is verdict

    assert reader.seen == written


def test_a_token_refused_in_the_middle_is_left_for_its_time_in_the_same_stream(jobs: Jobs) -> None:
    with jobs.reading() as reader:
        written = jobs.many(4)
        reader.take(4)
        with failing(jobs, "getMore", errorCode=280):
            written += jobs.many(3)
            reader.take(7)
        written += jobs.many(2)
        reader.take(9)

    assert reader.seen == written


@pytest.mark.parametrize("code", [6, 91, 10107, 13436, 133])
def test_a_stream_that_cannot_be_opened_is_waited_for(jobs: Jobs, code: int) -> None:
    start = jobs.here()
    written = jobs.many(1)

    # The driver itself tries once more.
    with (
        failing(jobs, "aggregate", times=2, errorCode=code),
        pytest.raises(Retryable),
        jobs.reading(start),
    ):
        pass

    with jobs.reading(start) as reader:
        assert reader.take(1) == written


def test_a_lookup_of_job_ids_that_fails_loses_no_event(jobs: Jobs) -> None:
    job_id = jobs.insert()
    start = jobs.here()
    jobs.advance(job_id, "download_submitted")
    jobs.source = jobs.another_source()

    with failing(jobs, "find", errorCode=1), jobs.reading(start) as reader:
        assert type(reader.end()) is Retryable

    with jobs.reading(start) as reader:
        assert reader.take(1) == jobs.history(job_id)[1:]


def test_a_lookup_that_fails_in_the_middle_hands_over_no_half_batch(jobs: Jobs) -> None:
    old = [jobs.insert() for _ in range(3)]
    jobs.source = jobs.another_source()
    with jobs.reading() as reader:
        written = jobs.many(1)
        reader.take(1)
        with failing(jobs, "find", errorCode=1):
            for job_id in old:
                jobs.advance(job_id, "download_submitted")
            error = reader.end()
    assert type(error) is Retryable
    written += [jobs.history(job_id)[1] for job_id in old]

    with jobs.reading(reader.position) as rest:
        rest.take(len(written) - len(reader.seen))

    assert reader.seen + rest.seen == written


def test_an_opening_may_take_longer_than_a_path_may_be_silent(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB looks through all that others wrote before it answers; here it is made slow."""
    monkeypatch.setattr("bridge.mongo.client._SILENCE_SECONDS", 0)
    jobs.source = jobs.another_source()
    start = jobs.here()
    expected = jobs.many(2)
    with failing(jobs, "aggregate", blockConnection=True, blockTimeMS=2 * AWAIT_MS):
        began = time.monotonic()

        with jobs.reading(start) as reader:
            assert time.monotonic() - began > AWAIT_MS / 1000, "it was slow"
            assert reader.take(2) == expected
