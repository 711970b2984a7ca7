"""The sample consumer without Kafka: order, duplicates, and records that are not messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.model.message import MessageFormat
from bridge.model.transition import STREAM, Transition
from examples import job_states

FORMAT = MessageFormat("job-transitions", "job-bridge/cts.jobs", cloudevents=True)
BARE = MessageFormat("job-transitions", "job-bridge/cts.jobs", cloudevents=False)
STATES = ("created", "running", "complete")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(job_states.TABLES)
        yield opened


def record(number: int, form: MessageFormat = FORMAT, second: int | None = None) -> Any:
    """The record of a job's transition; each has a second of its own, if none is given."""
    second = number if second is None else second
    moment = f"2026-03-02T20:31:0{second}.511000+00:00"
    sequence = 1_772_483_460_511_000 + second * 1_000_000
    transition = Transition("job-1", STATES[number], moment, f"t-{number}", sequence)
    return record_of(form.message(transition, STREAM))


def record_of(message: Any) -> Any:
    return SimpleNamespace(
        topic=message.topic,
        partition=0,
        offset=7,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )


@pytest.mark.parametrize("form", [FORMAT, BARE], ids=["headers", "no headers"])
def test_the_latest_state_stays(database: sqlite3.Connection, form: MessageFormat) -> None:
    """Messages in the wrong order, and a duplicate."""
    changes = [
        job_states.process(database, job_states.parse(record(number, form)))
        for number in (0, 2, 1, 0)
    ]

    assert changes == [True, True, True, False]
    ((job_id, _, state, messages),) = database.execute("SELECT * FROM job").fetchall()
    assert (job_id, state, messages) == ("job-1", "complete", 3)


def test_the_later_message_of_equal_times_counts(database: sqlite3.Connection) -> None:
    """Without ``ce_sequence``; the repeated copy of the first message changes nothing."""
    for number in (0, 1, 2, 0):
        job_states.process(database, job_states.parse(record(number, BARE, second=5)))

    ((_, _, state, messages),) = database.execute("SELECT * FROM job").fetchall()
    assert (state, messages) == ("complete", 3)


def test_time_and_sequence_have_one_scale() -> None:
    """A topic may contain messages of both kinds."""
    assert job_states.parse(record(1)).sequence == job_states.parse(record(1, BARE)).sequence


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"5",
        b'{"job_id": "job-1"}',
        b"\xff",
        FORMAT.message.__name__.encode(),
        b"[" * 100_000,
    ],
)
def test_a_foreign_record_is_unusable(value: bytes | None) -> None:
    foreign = record(0)
    foreign.value = value

    with pytest.raises(ValueError, match="not a transition"):
        job_states.parse(foreign)


@pytest.mark.parametrize("name", ["job_id", "state", "trans_id"])
@pytest.mark.parametrize("text", ["\ud800", 7, None])
def test_a_text_that_cannot_be_stored_is_unusable(name: str, text: object) -> None:
    foreign = record(0)
    foreign.value = json.dumps(json.loads(foreign.value) | {name: text}).encode()

    with pytest.raises(ValueError, match="not a transition"):
        job_states.parse(foreign)


@pytest.mark.parametrize("sequence", [b"9" * 25, b"-" + b"9" * 25, b"9" * 5000, b"", b"x", None])
def test_an_impossible_sequence_is_unusable(sequence: bytes | None) -> None:
    foreign = record(0)
    foreign.headers = [("ce_sequence", sequence)]

    with pytest.raises(ValueError, match="not a transition"):
        job_states.parse(foreign)


def test_the_limits_of_a_sequence_are_stored(database: sqlite3.Connection) -> None:
    for number, sequence in enumerate((1 - 2**63, 2**63 - 1)):
        accepted = record(number)
        accepted.headers = [("ce_sequence", b"%d" % sequence)]
        assert job_states.process(database, job_states.parse(accepted))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "x" * 9999])
def test_the_reason_of_an_impossible_time_is_short(moment: str) -> None:
    """The reason is a header of the dead letter, which must not become too large."""
    foreign = record(0, BARE)
    foreign.value = json.dumps(json.loads(foreign.value) | {"time": moment}).encode()

    try:
        job_states.parse(foreign)
    except ValueError as error:
        assert "not a transition" in str(error) and len(str(error)) < 300


def test_a_dead_letter_says_where_it_is_from() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []

    class RecordingProducer:
        def send(self, topic: str, **given: Any) -> Any:
            sent.append((topic, given))
            return SimpleNamespace(get=lambda timeout: None)

    job_states.dead_letter(RecordingProducer(), record(0), "not a transition: ...")

    ((topic, given),) = sent
    assert topic == "job-transitions-job-states-dlq"
    assert given["value"] == record(0).value
    assert dict(given["headers"])["origin"] == b"job-transitions 0:7"
