"""Messages: the value byte for byte, the headers, and a size that is never too small."""

from __future__ import annotations

import json
from datetime import timezone

from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder

from bridge.model.message import Message, MessageFormat, value_of
from bridge.model.transition import Poison, Transition
from tests.support.factories import NOON, transition

ANY = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too
TIMES = st.datetimes(timezones=st.just(timezone.utc)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000).isoformat()
)
TRANSITIONS = st.builds(Transition, ANY, ANY, TIMES, ANY, st.none() | st.integers(0, 10_000))
FORMAT = MessageFormat("jobs", "job-bridge/db.jobs", cloudevents=True)


def as_the_service_does(item: Transition) -> bytes:
    fields = {
        "job_id": item.job_id,
        "state": item.state,
        "time": item.time,
        "trans_id": item.trans_id,
    }
    return json.dumps(fields).encode("utf-8")


@given(TRANSITIONS)
def test_the_value_equals_the_bytes_of_cts(item: Transition) -> None:
    assert value_of(item) == FORMAT.message(item, b"stream").value == as_the_service_does(item)


def test_a_value_reads_as_documented() -> None:
    item = Transition("6e7f", "created", NOON.isoformat(), "0b1f")

    assert value_of(item) == (
        b'{"job_id": "6e7f", "state": "created", '
        b'"time": "2026-03-02T12:00:00.511000+00:00", "trans_id": "0b1f"}'
    )


def test_a_time_without_milliseconds_has_no_fraction() -> None:
    value = value_of(transition(time=NOON.replace(microsecond=0)))

    assert json.loads(value)["time"] == "2026-03-02T12:00:00+00:00"


@given(TRANSITIONS, ANY, st.booleans(), st.sampled_from([b"stream", b"recovery"]))
def test_the_size_covers_the_clients_estimate(
    item: Transition, source: str, cloudevents: bool, origin: bytes
) -> None:
    made = MessageFormat("jobs", source, cloudevents=cloudevents).message(item, origin)
    estimate = DefaultRecordBatchBuilder.estimate_size_in_bytes(
        made.key, made.value, list(made.headers)
    )

    assert estimate <= made.size() <= estimate + 15 * len(made.headers) + 40


@given(
    st.binary(max_size=300),
    st.binary(max_size=70_000),
    st.lists(st.tuples(ANY, st.binary(max_size=300))),
)
def test_the_size_holds_for_any_record(
    key: bytes, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    ascii_headers = [
        (name.encode("ascii", "replace").decode(), content) for name, content in headers
    ]
    made = Message("jobs", key, value, ascii_headers)

    assert made.size() >= DefaultRecordBatchBuilder.estimate_size_in_bytes(
        key, value, ascii_headers
    )


@given(TRANSITIONS)
def test_the_key_is_the_job_id(item: Transition) -> None:
    assert FORMAT.message(item, b"stream").key.decode("utf-8", "surrogatepass") == item.job_id


def test_headers_follow_cloudevents_binary_mode() -> None:
    made = FORMAT.message(transition(3), b"recovery")

    assert dict(made.headers) == {
        "ce_specversion": b"1.0",
        "ce_type": b"us.kbase.job.transition",
        "ce_source": b"job-bridge/db.jobs",
        "ce_id": b"job-0/3",
        "ce_subject": b"job-0",
        "ce_time": b"2026-03-02T12:00:00.514000+00:00",
        "ce_sequence": b"3",
        "ce_origin": b"recovery",
        "content-type": b"application/json",
    }
    assert len(made.headers) == 9
    assert made.topic == "jobs"


def test_the_commit_time_is_a_header() -> None:
    commits = [NOON.timestamp(), NOON.timestamp(), NOON.timestamp() + 0.489, None]
    made = [FORMAT.message(transition(), b"stream", commit) for commit in commits]

    assert [dict(message.headers).get("ce_committed") for message in made] == [
        b"2026-03-02T12:00:00.511000+00:00",
        b"2026-03-02T12:00:00.511000+00:00",
        b"2026-03-02T12:00:01+00:00",
        None,
    ]


def test_without_a_history_there_is_no_sequence_header() -> None:
    made = FORMAT.message(transition()._replace(sequence=None), b"stream")

    assert "ce_sequence" not in dict(made.headers)


@given(TRANSITIONS)
def test_headers_are_text_whatever_the_documents_hold(item: Transition) -> None:
    for _, value in FORMAT.message(item, b"stream").headers:
        assert isinstance(value, bytes)


def test_headers_can_be_switched_off() -> None:
    plain = MessageFormat("jobs", "source", cloudevents=False)

    assert plain.message(transition(), b"stream", 1.0).headers == []
    assert plain.dead_letter(Poison("why"), b"stream", 0.0).headers == []


def test_a_dead_letter_has_known_fields_and_reason() -> None:
    poison = Poison("the time is str, not a date", "job-1", "created", "yesterday", "t-1", 2)

    letter = FORMAT.dead_letter(poison, b"stream", 1_700_000_000.0)

    assert letter.topic == "jobs-dlq"
    assert letter.key == b"job-1"
    assert json.loads(letter.value) == {
        "job_id": "job-1",
        "state": "created",
        "time": "yesterday",
        "trans_id": "t-1",
        "error_dlq": "the time is str, not a date",
    }
    assert dict(letter.headers)["ce_id"] == b"t-1"
    assert dict(letter.headers)["ce_time"] == b"2023-11-14T22:13:20+00:00"


@given(st.builds(Poison, ANY, ANY, ANY, ANY, ANY))
def test_a_dead_letter_can_be_made_of_anything(poison: Poison) -> None:
    assert set(json.loads(FORMAT.dead_letter(poison, b"stream", 0.0).value)) == {
        "job_id",
        "state",
        "time",
        "trans_id",
        "error_dlq",
    }


def test_a_large_transition_has_a_short_dead_letter() -> None:
    huge = "ü" * 2_000_000

    letter = FORMAT.dead_letter(Poison(huge, huge, huge, huge, huge), b"stream", 0.0)

    assert letter.size() < 25_000
