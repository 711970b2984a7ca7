"""Times as people give them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from bridge.settings import parse_duration, parse_time, parse_when

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=timezone.utc)


@pytest.fixture(params=["UTC", "America/Los_Angeles"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("30s", timedelta(seconds=30)),
        ("2w", timedelta(days=14)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration
    assert parse_when(text, NOW) == NOW - duration


@pytest.mark.parametrize("text", ["", "24", "h", "24 h", "-1h", "1y", "1h30", "h1"])
def test_other_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    with pytest.raises(ValueError, match=r"\S"):
        parse_when(text, NOW)


@pytest.mark.parametrize(
    "text", ["36501d", "1000000d", "36500d1s", "99999999999999d", "9" * 400 + "w"]
)
def test_a_duration_over_a_century_is_too_long(text: str) -> None:
    for read in (parse_duration, lambda text: parse_when(text, NOW)):
        with pytest.raises(ValueError, match="too long a duration: 36500d at most") as raised:
            read(text)
        assert "not a duration" not in str(raised.value)


def test_a_century_is_not_too_long() -> None:
    assert parse_when("36500d", NOW) == NOW - timedelta(days=36500)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T18:00:00+00:00",
        "2026-03-02T18:00:00Z",
        "2026-03-02T10:00:00-08:00",
        "2026-03-02T18:00:00.000+00:00",
    ],
)
def test_a_time_with_a_zone_is_utc(text: str) -> None:
    assert parse_time(text) == parse_when(text, NOW) == NOW
    assert parse_time(text).tzinfo == timezone.utc


@pytest.mark.parametrize("text", ["2026-03-02T18:00:00", "2026-03-02 18:00", "2026-03-02"])
def test_a_time_without_zone_is_refused_with_suggestions(text: str, zone: str) -> None:
    """The error contains the time in UTC and in local time."""
    with pytest.raises(ValueError, match="has no zone") as raised:
        parse_when(text, NOW)

    utc, local = re.findall(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d\d:\d\d", str(raised.value))
    assert utc.endswith("+00:00")
    assert local.endswith("+00:00" if zone == "UTC" else "-08:00")
    # Each can be given as it stands, and both are the same time on a clock.
    assert parse_time(utc).replace(tzinfo=None) == datetime.fromisoformat(local).replace(
        tzinfo=None
    )


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_outside_the_utc_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="outside of the years 1 to 9999 in UTC"):
        parse_when(text, NOW)


@pytest.mark.parametrize("name", ["UTC", "America/Los_Angeles", "Asia/Tokyo"])
@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_a_missing_zone_is_reported_at_calendar_ends(
    text: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", name)
        time.tzset()
        with pytest.raises(ValueError, match=re.escape(f"has no zone: write {text}+00:00 for UTC")):
            parse_when(text, NOW)
    time.tzset()


def test_other_text_names_both_formats() -> None:
    with pytest.raises(
        ValueError, match=r"not an ISO 8601 time such as .* nor a duration such as 90m"
    ):
        parse_when("yesterday", NOW)
