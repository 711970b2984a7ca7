"""``token``: shows, changes and clears the stored position, but not under a running bridge."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka


def shown(settings: GivenSettings) -> dict[str, object] | None:
    ended = run_command("token", "show", "--json", settings=settings)
    if ended.code == 66:
        assert json.loads(ended.err)["exit_code"] == 66 and not ended.out
        return None
    assert ended.code == 0
    record: dict[str, object] | None = json.loads(ended.out)
    return record


def test_a_name_without_a_checkpoint_is_reported(each_store: GivenSettings) -> None:
    name = each_store["checkpoint.name"]
    ended = run_command("token", "show", settings=each_store)

    assert ended.code == 66
    assert f"no checkpoint '{name}': the next start uses start.from" in ended.error
    assert shown(each_store) is None

    cleared = run_command("token", "clear", "--yes", settings=each_store)
    assert cleared.code == 66 and "Nothing was changed" in cleared.error
    assert run_command("token", "show", settings=each_store).code == 66
    assert listed(each_store, name) == []

    changed = run_command("token", "set", "now", "--yes", settings=each_store)
    assert changed.code == 0 and f"'{name}' is a new name in this store" in changed.out
    assert run_command("token", "show", settings=each_store).code == 0


def test_the_list_shows_every_checkpoint(each_store: GivenSettings, start: MakeBridge) -> None:
    """A typo in a name shows when the existing names stand beside it."""
    name = each_store["checkpoint.name"]
    with start(**each_store) as bridge:
        bridge.wait_ready()
        (line,) = listed(each_store, name)
        assert "no owner" not in line and "no position" not in line
        assert bridge.stop() == 0

    (line,) = listed(each_store, name)
    assert "no owner" in line
    if each_store["checkpoint.store"] == "mongo":
        ended = run_command("token", "show", settings={**each_store, "checkpoint.name": f"{name}x"})
        assert ended.code == 66
        assert name in ended.error.partition("The store has: ")[2]


def listed(settings: GivenSettings, name: str) -> list[str]:
    ended = run_command("token", "list", settings=settings)
    assert ended.code == 0
    return [line for line in ended.out.splitlines() if line.split()[0] == name]


def test_an_earlier_token_replays_and_clearing_restarts(
    each_store: GivenSettings, start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start(**each_store) as bridge:
        bridge.wait_ready()
        before = str(shown(each_store) and run_command("token", "show", settings=each_store).out)
        job_id = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0
    record = shown(each_store)
    assert record is not None and "position " in before

    since = str(datetime.fromtimestamp(_seconds(record) - 60, timezone.utc).isoformat())
    asked = run_command("token", "set", since, settings=each_store, answer="n\n")
    assert asked.code == 130 and "Change the checkpoint?" in asked.out
    # The question takes the ownership for a moment.
    assert {**(shown(each_store) or {}), "epoch": None} == {**record, "epoch": None}
    changed = run_command("token", "set", since, settings=each_store, answer="y\n")
    assert changed.code == 0
    assert "old: " in changed.out and f"new: {since[:19]}" in changed.out
    with start(**each_store) as bridge:
        bridge.wait_ready()
        bridge.wait_for(
            lambda: bridge.metrics()["job_bridge_read_back_left_out_total"] == len(GOOD),
            "the job, left out",
        )
        assert bridge.stop() == 0
    assert published_states(kafka, topic, job_id) == list(GOOD)

    assert run_command("token", "set", since, "--yes", settings=each_store).code == 0
    with start(**each_store, kafka__read_back="off") as bridge:
        bridge.wait_for(
            lambda: published_states(kafka, topic, job_id) == 2 * list(GOOD), "the job again"
        )
        assert bridge.stop() == 0

    token = str(record["token"])
    assert run_command("token", "set", token, "--yes", settings=each_store).code == 0
    assert (shown(each_store) or {})["token"] == token
    cleared = run_command("token", "clear", "--yes", settings=each_store)
    assert cleared.code == 0 and "no checkpoint: the next start uses start.from" in cleared.out
    assert shown(each_store) is None
    with start(**each_store) as bridge:
        bridge.wait_ready()
        assert any(line["message"] == "first start" for line in bridge.lines())


def _seconds(record: dict[str, object]) -> int:
    time = record["cluster_time"]
    assert isinstance(time, list)
    return int(time[0])


def test_nothing_is_changed_while_a_bridge_runs(
    each_store: GivenSettings, start: MakeBridge
) -> None:
    with start(**each_store) as bridge:
        bridge.wait_ready()

        for arguments in (("set", "2026-03-02T18:00:00+00:00", "--yes"), ("clear", "--yes")):
            ended = run_command("token", *arguments, settings=each_store)

            assert ended.code == 76
            assert (
                "A bridge is running" in ended.error
                or "Another process owns the checkpoint file" in ended.error
            )
        assert shown(each_store) is not None
        assert bridge.ready() and bridge.stop() == 0


def test_a_position_is_set_before_the_first_start(
    each_store: GivenSettings, start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    since = datetime.now(timezone.utc).isoformat()
    job_id = jobs.add_good()

    assert run_command("token", "set", since, "--yes", settings=each_store).code == 0
    with start(**each_store) as bridge:
        bridge.wait_acked(len(GOOD))

    assert published_states(kafka, topic, job_id) == list(GOOD)


@pytest.mark.parametrize(
    "time", ["36500d", "1969-12-31T00:00:00Z", "9999-01-01T00:00:00Z", "2050-01-01T00:00:00Z", ""]
)
def test_an_impossible_time_is_refused(time: str, each_store: GivenSettings) -> None:
    ended = run_command("token", "set", time, "--yes", settings=each_store)

    assert ended.code == 64
    assert "The checkpoint is unchanged" in ended.error
    assert shown(each_store) is None


def test_a_start_in_the_future_stores_nothing(each_store: GivenSettings, topic: str) -> None:
    ended = run_command("run", settings={**each_store, "start.from": "2050-01-01T00:00:00Z"})

    assert ended.code == 78
    assert "start.from = 2050-01-01T00:00:00Z is in the future" in ended.error
    assert shown(each_store) is None


@pytest.mark.parametrize("arguments", [("token", "clear"), ("token", "set", "1h")])
def test_what_is_no_file_is_not_replaced(
    arguments: tuple[str, ...], settings: GivenSettings, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    device.symlink_to("/dev/null")

    ended = run_command(
        *arguments,
        "--yes",
        settings={**settings, "checkpoint.store": "file", "checkpoint.file": str(device)},
    )

    assert ended.code == 78
    assert f"{device} is not a file. Nothing was changed" in ended.error
    assert device.is_symlink()


def test_a_move_says_what_it_skips_or_repeats(
    settings: GivenSettings, jobs: JobWriter, start: MakeBridge
) -> None:
    with start(start__from=(datetime.now(timezone.utc) - timedelta(hours=1)).isoformat()) as bridge:
        bridge.wait_ready()
        assert bridge.stop() == 0
    amount = "about 2 transitions of 1 job"
    jobs.advance(jobs.insert(), "download_submitted")

    forward = run_command("token", "set", "now", settings=settings, answer="n\n")
    cleared = run_command("token", "clear", settings=settings, answer="n\n")
    assert forward.code == cleared.code == 130
    assert f"warning: {amount} between the two positions will not be sent" in forward.out
    assert f"warning: {amount} after the old position will not be sent" in cleared.out

    assert run_command("token", "set", "now", "--yes", settings=settings).code == 0
    back = run_command("token", "set", "1h", settings=settings, answer="n\n")
    assert f"{amount} between the two positions will be read again" in back.out
    assert "those that the topic already has are left out (kafka.read_back = auto)" in back.out


def test_changing_the_token_warns_about_unpublished_history(
    settings: GivenSettings, jobs: JobWriter, start: MakeBridge
) -> None:
    jobs.add_good()
    with start(start__from="history", kafka__bootstrap_servers="127.0.0.1:1") as bridge:
        bridge.wait_for_line("the whole history is published first")
        bridge.stop()
    record = shown(settings)
    assert record and record["gap"]

    ended = run_command("token", "set", "1h", settings=settings, answer="n\n")

    assert ended.code == 130
    assert "a recovery is not finished; its unsent transitions will not be sent" in ended.out
    after = shown(settings)
    assert after and after["gap"] == record["gap"]


@pytest.mark.parametrize("text", ["yesterday", "82zz", "2026-03-02T18:00:00", "8212", ""])
def test_neither_time_nor_token_is_a_usage_error(text: str, settings: GivenSettings) -> None:
    ended: EndedCommand = run_command("token", "set", text, "--yes", settings=settings)

    assert ended.code == 64
    assert f"{text!r} is neither a resume token nor a usable time" in ended.error
    assert shown(settings) is None


def test_now_means_after_everything_committed(
    settings: GivenSettings, jobs: JobWriter, start: MakeBridge, kafka: Kafka, topic: str
) -> None:
    before = jobs.add_good()

    assert run_command("token", "set", "now", "--yes", settings=settings).code == 0
    with start() as bridge:
        bridge.wait_ready()
        after = jobs.add_good()
        bridge.wait_acked(len(GOOD))

    assert published_states(kafka, topic, before) == [] and published_states(
        kafka, topic, after
    ) == list(GOOD)


def test_a_mode_without_positions_refuses_tokens(settings: GivenSettings) -> None:
    ended = run_command(
        "token",
        "set",
        "now",
        "--yes",
        settings={**settings, "delivery.mode": "background-transitions"},
    )

    assert ended.code == 64
    assert "stores no position" in ended.error
