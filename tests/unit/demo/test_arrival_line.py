"""The line that the demo prints for a message."""

from types import SimpleNamespace

import click
import pytest

from bridge.demo.play import arrival_line, record_line
from bridge.demo.scoreboard import Scoreboard

MESSAGE = {"job_id": "job-1", "state": "running", "time": "2026-03-02T20:31:02.511000+00:00"}


def line(number: int | None = 0, **fields: str) -> str:
    return click.unstyle(arrival_line(MESSAGE | fields, 2, number))


def test_a_line_shows_the_message() -> None:
    assert " ".join(line().split()) == "20:31:02.511 job job-1 0 running partition 2"
    assert line(None).endswith("partition 2 (repeated)")


def test_a_time_always_has_milliseconds() -> None:
    assert line(time="2026-03-02T00:00:00+00:00").startswith("00:00:00.000  job")


def test_texts_of_a_job_are_escaped() -> None:
    """Anything may write jobs, and a terminal obeys these characters."""
    text = line(job_id="a\x07\x1b]0;x\nb", state="run\x1b[2Jning\r\nnext")

    assert text.isprintable()
    assert r"job a\x07\x1b]0;x b " in text and r" run\x1b[2Jning next " in text


OTHERS = {
    "no value": None,
    "nothing": b"",
    "words": b"hello",
    "not UTF-8": b"\xff",
    "a list": b"[1]",
    "no fields": b"{}",
    "an id that is a list": b'{"job_id": [], "trans_id": "t"}',
    "a state that is a number": b'{"job_id": "j", "trans_id": "t", "state": 1, "time": "noon"}',
    "deep": b"[" * 200_000,
}


@pytest.mark.parametrize("value", OTHERS.values(), ids=OTHERS)
def test_records_of_other_programs_are_named(value: bytes | None) -> None:
    record = SimpleNamespace(value=value, partition=2)

    assert record_line(record, Scoreboard()) == "-- a record of another program, partition 2"
