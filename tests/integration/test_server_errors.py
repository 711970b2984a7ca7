"""Server errors during a stream: they are waited out, and the next stream resumes exactly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bridge.errors import BridgeError, NotPermitted, ResumePointLost, Retryable, Unreadable
from bridge.model.position import position_before
from bridge.mongo.client import AWAIT_MS
from bridge.mongo.errors import ServerFailed
from tests.support.passing_errors import PASSING
from tests.support.servers.mongo import FAIL_POINTS, MongoDeployment
from tests.support.source_under_test import Identity, SourceUnderTest

FINAL: list[tuple[int, type[BridgeError]]] = [
    (286, ResumePointLost),
    (136, ResumePointLost),
    (13, NotPermitted),
    (10334, Unreadable),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    """A mongod with fail points."""
    with MongoDeployment(tmp_path_factory.mktemp("failing"), arguments=FAIL_POINTS) as server:
        yield server


@pytest.fixture
def jobs(server: MongoDeployment, database: str) -> Iterator[SourceUnderTest]:
    # After some of these errors the driver avoids the server until it has looked at it again.
    with SourceUnderTest(f"{server.uri}&heartbeatFrequencyMS=500", database) as jobs:
        yield jobs


@contextmanager
def failing(jobs: SourceUnderTest, command: str, times: int = 1, **how: Any) -> Iterator[None]:
    """Let the bridge's next ``times`` commands of these names fail."""
    data = {"failCommands": [command], "appName": "job-bridge", **how}
    jobs.client.admin.command(
        {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data}
    )
    try:
        yield
    finally:
        jobs.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def read_through(
    jobs: SourceUnderTest, failure: dict[str, Any]
) -> tuple[list[Identity], list[Identity], BridgeError]:
    """Write, fail, write, and resume: the written and the read transitions, and the errors."""
    written = jobs.insert_many(3)
    start = position_before(jobs.end_position().cluster_time)
    with jobs.reading(start) as reader:
        written = jobs.insert_many(3)
        reader.read_transitions(3)
        with failing(jobs, "getMore", **failure):
            error = reader.read_to_end()
        written += jobs.insert_many(2)
    with jobs.reading(reader.position) as rest:
        rest.read_transitions(len(written) - len(reader.identities))
        written += jobs.insert_many(1)
        rest.read_transitions(len(written) - len(reader.identities))
    return written, reader.identities + rest.identities, error


@pytest.mark.parametrize("code", PASSING)
def test_after_a_transient_error_the_next_stream_resumes(jobs: SourceUnderTest, code: int) -> None:
    """Nothing is missing or repeated."""
    written, read, error = read_through(jobs, {"errorCode": code})

    assert isinstance(error, Retryable) and error.part == "mongodb"
    assert read == written


def test_a_connection_that_breaks_is_the_same(jobs: SourceUnderTest) -> None:
    written, read, error = read_through(jobs, {"closeConnection": True})

    assert isinstance(error, Retryable) and error.part == "mongodb"
    assert read == written


@pytest.mark.parametrize(("code", "verdict"), FINAL)
def test_an_error_that_does_not_pass_says_so(
    jobs: SourceUnderTest, code: int, verdict: type[BridgeError]
) -> None:
    with jobs.reading() as reader:
        written = jobs.insert_many(1)
        reader.read_transitions(1)
        with failing(jobs, "getMore", errorCode=code):
            assert type(reader.read_to_end()) is verdict

    assert reader.identities == written


def test_a_token_refused_midway_resumes_by_time(
    jobs: SourceUnderTest,
) -> None:
    """The stream stays the same."""
    with jobs.reading() as reader:
        written = jobs.insert_many(4)
        reader.read_transitions(4)
        with failing(jobs, "getMore", errorCode=280):
            written += jobs.insert_many(3)
            reader.read_transitions(7)
        written += jobs.insert_many(2)
        reader.read_transitions(9)

    assert reader.identities == written


@pytest.mark.parametrize("code", [6, 91, 10107, 13436, 133])
def test_an_unopenable_stream_is_waited_for(jobs: SourceUnderTest, code: int) -> None:
    start = jobs.end_position()
    written = jobs.insert_many(1)

    # The driver itself tries once more.
    with (
        failing(jobs, "aggregate", times=2, errorCode=code),
        pytest.raises(Retryable),
        jobs.reading(start),
    ):
        pass

    with jobs.reading(start) as reader:
        assert reader.read_transitions(1) == written


def test_a_failed_lookup_loses_no_event(jobs: SourceUnderTest) -> None:
    job_id = jobs.insert()
    start = jobs.end_position()
    jobs.advance(job_id, "download_submitted")
    jobs.source = jobs.another_source()

    with failing(jobs, "find", errorCode=1), jobs.reading(start) as reader:
        assert type(reader.read_to_end()) is ServerFailed

    with jobs.reading(start) as reader:
        assert reader.read_transitions(1) == jobs.history(job_id)[1:]


def test_a_failed_lookup_delivers_no_partial_batch(jobs: SourceUnderTest) -> None:
    old = [jobs.insert() for _ in range(3)]
    jobs.source = jobs.another_source()
    with jobs.reading() as reader:
        written = jobs.insert_many(1)
        reader.read_transitions(1)
        with failing(jobs, "find", errorCode=1):
            for job_id in old:
                jobs.advance(job_id, "download_submitted")
            error = reader.read_to_end()
    assert type(error) is ServerFailed
    written += [jobs.history(job_id)[1] for job_id in old]

    with jobs.reading(reader.position) as rest:
        rest.read_transitions(len(written) - len(reader.identities))

    assert reader.identities + rest.identities == written


def test_opening_may_outlast_the_socket_timeout(
    jobs: SourceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB looks through all that others wrote before it answers; here it is made slow."""
    monkeypatch.setattr("bridge.mongo.client._SILENCE_SECONDS", 0)
    jobs.source = jobs.another_source()
    start = jobs.end_position()
    expected = jobs.insert_many(2)
    with failing(jobs, "aggregate", blockConnection=True, blockTimeMS=2 * AWAIT_MS):
        began = time.monotonic()

        with jobs.reading(start) as reader:
            assert time.monotonic() - began > AWAIT_MS / 1000, "it was slow"
            assert reader.read_transitions(2) == expected
