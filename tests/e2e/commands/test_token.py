"""``token``: the stored position shown, changed and forgotten by hand, never under a running bridge."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.e2e.commands.conftest import Start
from tests.support.jobs import GOOD, Jobs, told
from tests.support.running import Ended, Given, command
from tests.support.servers.kafka import Kafka


@pytest.fixture(params=["mongo", "file"])
def given(request: pytest.FixtureRequest, settings: Given, tmp_path: Path) -> dict[str, str]:
    """The settings with either store."""
    return {
        **settings,
        "checkpoint.store": request.param,
        "checkpoint.file": str(tmp_path / "checkpoint.json"),
    }


def shown(settings: Given) -> dict[str, object] | None:
    ended = command("token", "show", "--json", settings=settings)
    assert ended.code == 0
    record: dict[str, object] | None = json.loads(ended.out)
    return record


def test_without_a_checkpoint_it_says_so(given: Given) -> None:
    ended = command("token", "show", settings=given)

    assert ended.code == 0
    assert (
        ended.out == f"no checkpoint '{given['checkpoint.name']}': the next start uses start.from\n"
    )
    assert shown(given) is None


def test_a_token_taken_back_sends_again_and_a_cleared_one_begins_anew(
    given: Given, start: Start, jobs: Jobs, kafka: Kafka, topic: str
) -> None:
    with start(**given) as bridge:
        bridge.await_ready()
        before = str(shown(given) and command("token", "show", settings=given).out)
        job_id = jobs.good()
        bridge.await_acked(len(GOOD))
        assert bridge.stop() == 0
    record = shown(given)
    assert record is not None and "position " in before

    since = str(datetime.fromtimestamp(_seconds(record) - 60, timezone.utc).isoformat())
    asked = command("token", "set", since, settings=given, answer="n\n")
    assert asked.code == 130 and "Change the checkpoint?" in asked.out
    # Asking takes the ownership for a moment, no more.
    assert {**(shown(given) or {}), "epoch": None} == {**record, "epoch": None}
    changed = command("token", "set", since, settings=given, answer="y\n")
    assert changed.code == 0
    assert "old: " in changed.out and f"new: {since[:19]}" in changed.out
    with start(**given) as bridge:
        bridge.wait_until(lambda: told(kafka, topic, job_id) == 2 * list(GOOD), "the job again")
        assert bridge.stop() == 0

    token = str(record["token"])
    assert command("token", "set", token, "--yes", settings=given).code == 0
    assert (shown(given) or {})["token"] == token
    cleared = command("token", "clear", "--yes", settings=given)
    assert cleared.code == 0 and "no checkpoint: the next start uses start.from" in cleared.out
    assert shown(given) is None
    with start(**given) as bridge:
        bridge.await_ready()
        assert any(line["message"] == "first start" for line in bridge.lines())


def _seconds(record: dict[str, object]) -> int:
    time = record["cluster_time"]
    assert isinstance(time, list)
    return int(time[0])


def test_nothing_is_changed_while_a_bridge_runs(given: Given, start: Start) -> None:
    with start(**given) as bridge:
        bridge.await_ready()

        for arguments in (("set", "2026-03-02T18:00:00+00:00", "--yes"), ("clear", "--yes")):
            ended = command("token", *arguments, settings=given)

            assert ended.code == 76
            assert (
                "A bridge is running" in ended.complaint
                or "Another process owns the checkpoint file" in ended.complaint
            )
        assert shown(given) is not None
        assert bridge.ready() and bridge.stop() == 0


def test_a_position_is_set_before_the_first_start(
    given: Given, start: Start, jobs: Jobs, kafka: Kafka, topic: str
) -> None:
    since = datetime.now(timezone.utc).isoformat()
    job_id = jobs.good()

    assert command("token", "set", since, "--yes", settings=given).code == 0
    with start(**given) as bridge:
        bridge.await_acked(len(GOOD))

    assert told(kafka, topic, job_id) == list(GOOD)


@pytest.mark.parametrize(
    "time", ["36500d", "1969-12-31T00:00:00Z", "9999-01-01T00:00:00Z", "2050-01-01T00:00:00Z", ""]
)
def test_a_time_that_no_event_can_have_is_refused(time: str, given: Given) -> None:
    ended = command("token", "set", time, "--yes", settings=given)

    assert ended.code == 64
    assert "The checkpoint is unchanged" in ended.complaint
    assert shown(given) is None


def test_a_start_in_the_future_is_refused_and_nothing_stored(given: Given, topic: str) -> None:
    ended = command("run", settings={**given, "start.from": "2050-01-01T00:00:00Z"})

    assert ended.code == 78
    assert "start.from = 2050-01-01T00:00:00Z is in the future" in ended.complaint
    assert shown(given) is None


@pytest.mark.parametrize("arguments", [("token", "clear"), ("token", "set", "1h")])
def test_what_is_no_file_is_not_replaced(
    arguments: tuple[str, ...], settings: Given, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    device.symlink_to("/dev/null")

    ended = command(
        *arguments,
        "--yes",
        settings={**settings, "checkpoint.store": "file", "checkpoint.file": str(device)},
    )

    assert ended.code == 78
    assert f"{device} is not a file. Nothing was changed" in ended.complaint
    assert device.is_symlink()


def test_going_forward_says_what_will_be_missed(settings: Given, start: Start) -> None:
    with start(start__from=(datetime.now(timezone.utc) - timedelta(hours=1)).isoformat()) as bridge:
        bridge.await_ready()
        assert bridge.stop() == 0

    ended = command("token", "set", "now", settings=settings, answer="n\n")

    assert ended.code == 130
    assert "the transitions between the two positions will not be sent" in ended.out


def test_a_change_while_history_is_published_says_what_becomes_of_the_rest(
    settings: Given, jobs: Jobs, start: Start
) -> None:
    jobs.good()
    with start(start__from="history", kafka__bootstrap_servers="127.0.0.1:1") as bridge:
        bridge.await_line("the whole history is published first")
        bridge.stop()
    record = shown(settings)
    assert record and record["gap"]

    ended = command("token", "set", "1h", settings=settings, answer="n\n")

    assert ended.code == 130
    assert "a recovery is not finished; its unsent transitions will not be sent" in ended.out
    after = shown(settings)
    assert after and after["gap"] == record["gap"]


@pytest.mark.parametrize("place", ["yesterday", "82zz", "2026-03-02T18:00:00", "8212", ""])
def test_what_is_neither_a_time_nor_a_token_is_usage(place: str, settings: Given) -> None:
    ended: Ended = command("token", "set", place, "--yes", settings=settings)

    assert ended.code == 64
    assert f"{place!r} is neither a resume token nor a usable time" in ended.complaint
    assert shown(settings) is None


def test_now_is_the_place_after_everything_that_is_committed(
    settings: Given, jobs: Jobs, start: Start, kafka: Kafka, topic: str
) -> None:
    before = jobs.good()

    assert command("token", "set", "now", "--yes", settings=settings).code == 0
    with start() as bridge:
        bridge.await_ready()
        after = jobs.good()
        bridge.await_acked(len(GOOD))

    assert told(kafka, topic, before) == [] and told(kafka, topic, after) == list(GOOD)


def test_a_mode_that_keeps_no_position_has_none_to_set(settings: Given) -> None:
    ended = command(
        "token",
        "set",
        "now",
        "--yes",
        settings={**settings, "delivery.mode": "background-transitions"},
    )

    assert ended.code == 64
    assert "stores no position" in ended.complaint
