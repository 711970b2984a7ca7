"""Log lines: JSON or plain, and few lines for repeated failures."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from bridge import __version__
from bridge.logs import REPEAT_SECONDS, BatchNotes, Repeated, flush, set_up


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO) -> str:
    """The log, once its thread has written it."""
    flush()
    return stream.getvalue()


def logged(form: str, stream: io.StringIO, level: str = "info") -> str:
    set_up(form, level, stream)
    log = logging.getLogger("bridge.test")
    log.debug("unheard")
    log.warning(
        "set aside to %s",
        "jobs-dlq",
        extra={"job_id": "job-1", "trans_id": "t-1", "other": "secret"},
    )
    return written(stream)


def test_a_json_line_has_message_and_id_fields() -> None:
    record = json.loads(logged("json", io.StringIO()))

    assert record["level"] == "WARNING" and record["name"] == "bridge.test"
    assert record["message"] == "set aside to jobs-dlq"
    assert (record["job_id"], record["trans_id"]) == ("job-1", "t-1")


def test_a_json_line_names_its_bridge() -> None:
    stream = io.StringIO()
    set_up("json", "info", stream, bridge="cdm-jobs")
    logging.getLogger("bridge.test").info("ready")

    record = json.loads(written(stream))

    assert (record["bridge"], record["version"]) == ("cdm-jobs", __version__)


def test_empty_fields_of_a_batch_are_left_out() -> None:
    stream = io.StringIO()
    set_up("plain", "info", stream)
    notes = BatchNotes(logging.getLogger("bridge.test"))
    notes.add("dead-lettered", job_id="", trans_id="t-1")
    notes.log()

    assert written(stream).endswith("warning dead-lettered trans_id=t-1\n")


def test_a_json_line_has_utc_milliseconds() -> None:
    record = json.loads(logged("json", io.StringIO()))

    assert len(record["time"]) == len("2026-03-02T12:00:00.511+00:00")
    assert record["time"].endswith("+00:00") and record["time"][19] == "."


def test_a_plain_line_has_known_fields_only() -> None:
    line = logged("plain", io.StringIO())

    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning ", line)
    assert line.endswith("warning set aside to jobs-dlq job_id=job-1 trans_id=t-1\n")
    assert "secret" not in line


def test_a_plain_line_is_always_a_single_line() -> None:
    stream = io.StringIO()
    set_up("plain", "info", stream)

    logging.getLogger("bridge").info("one\ntwo\r\n  thr\x1b[2Jee")

    assert written(stream).endswith("one two thr\\x1b[2Jee\n")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(("stream", "plain"), [(Terminal(), True), (io.StringIO(), False)])
def test_auto_is_plain_on_a_terminal_only(stream: io.StringIO, plain: bool) -> None:
    assert logged("auto", stream).startswith("{") is not plain


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_bug_is_logged_with_its_traceback(form: str) -> None:
    stream = io.StringIO()
    set_up(form, "info", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("bridge").exception("this is a bug")

    assert "Traceback" in written(stream) and "ValueError: broken" in stream.getvalue()


def test_the_level_applies_to_the_bridge_only() -> None:
    stream = io.StringIO()
    set_up("plain", "debug", stream)

    for name in ("kafka.producer", "pymongo.topology", "asyncio"):
        logging.getLogger(name).error("chatter")
    logging.getLogger("else").info("chatter")
    logging.getLogger("bridge").debug("heard")

    assert written(stream).count("\n") == 1
    assert "heard" in stream.getvalue()


def repeated(caplog: pytest.LogCaptureFixture) -> Repeated:
    caplog.set_level(logging.INFO)
    return Repeated(logging.getLogger("bridge.test"))


def test_a_continuing_failure_is_logged_every_thirty_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = repeated(caplog)
    for second in range(100, 166):
        trouble.failed(float(second), "MongoDB is away")

    assert REPEAT_SECONDS == 30.0
    assert caplog.messages == [
        "MongoDB is away",
        "MongoDB is away (for 30 s, 31 times)",
        "MongoDB is away (for 60 s, 61 times)",
    ]


def test_its_end_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    trouble = repeated(caplog)
    trouble.over(99.0, "working again")
    trouble.failed(100.0, "MongoDB is away")
    assert trouble.times == 1

    trouble.over(112.5, "working again")
    trouble.over(113.0, "working again")

    assert caplog.messages == ["MongoDB is away", "working again after 12.5 s"]
    assert trouble.times == 0


def test_the_next_failure_is_said_at_once_again(caplog: pytest.LogCaptureFixture) -> None:
    trouble = repeated(caplog)
    trouble.failed(100.0, "first")
    trouble.over(101.0, "well")
    trouble.failed(102.0, "second")

    assert caplog.messages == ["first", "well after 1.0 s", "second"]


def test_a_known_duration_counts_from_its_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = repeated(caplog)
    trouble.failed(130.0, "silent for 30 s", lasted=30.0)
    trouble.failed(161.0, "silent for 61 s", lasted=61.0)
    trouble.over(165.5, "well")

    assert caplog.messages == ["silent for 30 s", "silent for 61 s", "well after 65.5 s"]


def test_a_batch_logs_each_text_once(caplog: pytest.LogCaptureFixture) -> None:
    notes = BatchNotes(logging.getLogger("bridge.test"))
    for number in range(1000):
        notes.add("a job was deleted", f"document _id {number}")
    notes.add("the collection was dropped", job_id="job-1")
    assert caplog.messages == []

    notes.log()
    notes.log()

    assert caplog.messages == [
        "a job was deleted; document _id 0 (999 more in the same batch)",
        "the collection was dropped",
    ]
    assert caplog.records[1].job_id == "job-1"  # type: ignore[attr-defined]


def test_each_batch_counts_from_zero(caplog: pytest.LogCaptureFixture) -> None:
    notes = BatchNotes(logging.getLogger("bridge.test"))
    for text in ("first", "second"):
        notes.add("a job was deleted", text)
        notes.log()

    assert caplog.messages == ["a job was deleted; first", "a job was deleted; second"]
