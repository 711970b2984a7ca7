"""The page on scaling quotes the figures of the latest benchmark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SCALING = (DOCS / "scaling.md").read_text()


def backlog(contender: str) -> list[str]:
    """Return the medians of a contender's row in the table of the backlog."""
    text = (DOCS / "benchmarks.md").read_text()
    table = text.partition("<!-- backlog: generated -->")[2].partition("<!-- backlog: end -->")[0]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {contender} |")]
    return [cell.split("(")[0].strip() for cell in row.strip("|").split("|")[1:]]


def goal(name: str) -> str:
    """Return the measured value of a goal."""
    text = (DOCS / "benchmarks.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return row.split("|")[2].split("(")[0].strip()


@pytest.mark.parametrize(
    "contender", ["job-bridge, librdkafka", "job-bridge, kafka-python", "raw batches"]
)
def test_the_rates_are_rounded_to_thousands(contender: str) -> None:
    thousands = round(int(backlog(contender)[0]), -3) // 1000

    assert re.search(rf"about {thousands} 000 (transitions|events)/s", SCALING)


def test_cpu_and_memory_are_those_measured() -> None:
    row = backlog("job-bridge, librdkafka")

    assert f"| {row[4]} s |" in SCALING
    assert f"| {row[6]} MB, for 420 000 transitions |" in SCALING


def test_the_share_of_the_stream_is_that_measured() -> None:
    share = goal("librdkafka: rate, relative to raw batches")

    assert f"publishes at {share} of the rate" in SCALING


def test_the_arithmetic_of_the_load_is_right() -> None:
    """Messages of 190 bytes; 86 400 seconds a day."""
    for rate, messages, day, week in ((10, "0.9", "0.16", "1.1"), (1000, "86", "16", "115")):
        count = rate * 86_400
        assert f"{count / 1e6:.{1 if rate == 10 else 0}f} million" == f"{messages} million"
        assert f"{count * 190 / 1e9:.{2 if rate == 10 else 0}f}" == day
        assert f"{count * 190 * 7 / 1e9:.{1 if rate == 10 else 0}f}" == week
        assert f"{messages} million" in SCALING
        assert f"| {week} GB" in SCALING or f"{week} GB |" in SCALING
