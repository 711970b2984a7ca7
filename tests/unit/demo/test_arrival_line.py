"""The line that the demo prints for a message."""

import click

from bridge.demo.play import arrival_line

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
