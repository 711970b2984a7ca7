"""A transition has the same ``ce_sequence`` and the same value, however it was found."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.e2e.conftest import MakeBridge, NewTopic
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import JobWriter
from tests.support.messages import header
from tests.support.servers.kafka import Kafka
from tests.support.sweeps import sweep_once

#: The sequence and the value of a message.
Content = tuple[bytes | None, bytes | None]


def contents(kafka: Kafka, topic: str, origin: bytes) -> dict[bytes | None, Content]:
    """The contents by identity; fails if a transition has two of them."""
    records = kafka.read(topic)
    assert {header(record, "ce_origin") for record in records} == {origin}
    by_identity = {
        header(record, "ce_id"): (header(record, "ce_sequence"), record.value) for record in records
    }
    assert len(by_identity) == len(records)
    return by_identity


def write_three_generations(jobs: JobWriter) -> None:
    """A job of the old service, a job that was recovered twice, and a job without identities."""
    old, recovered, nameless = (jobs.insert() for _ in range(3))
    for state in ("download_submitted", "complete"):
        jobs.advance(old, state)
    for _ in range(2):
        jobs.advance(recovered, "error")
        jobs.collection.update_one({"id": recovered}, {"$unset": {"_last_recover": 1}})
        jobs.recover(recovered)
    jobs.advance(recovered, "complete")
    unnamed = {"_retry": 0, "time": datetime.now(timezone.utc), "notif_sent": False}
    for state in ("running", "running", "error"):
        element = {"state": state, **unnamed}
        jobs.collection.update_one(
            {"id": nameless},
            {"$push": {"transition_times": element}, "$set": {"state": state}},
        )


@pytest.fixture
def told(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> dict[bytes | None, Content]:
    """The messages of the stream."""
    with start() as bridge:
        bridge.wait_ready()
        write_three_generations(jobs)
        bridge.wait_acked(3 + 8 + 4)
        assert bridge.stop() == 0
    told = contents(kafka, topic, b"stream")
    assert len(told) == 15
    return told


def test_all_origins_send_the_same(
    told: dict[bytes | None, Content], settings: GivenSettings, start: MakeBridge,
    jobs: JobWriter, kafka: Kafka, new_topic: NewTopic,
) -> None:  # fmt: skip
    replayed, recovered, swept, notified = (new_topic() for _ in range(4))

    ended = run_command("replay", "--since", "1h", settings={**settings, "kafka.topic": replayed})
    assert ended.code == 0
    assert contents(kafka, replayed, b"replay") == told

    own = {"start__from": "history", "checkpoint__name": recovered, "kafka__topic": recovered}
    with start(**own) as bridge:
        bridge.wait_acked(15)
        assert bridge.stop() == 0
    assert contents(kafka, recovered, b"recovery") == told

    by_transition = {"delivery.mode": "background-transitions", "kafka.topic": swept}
    assert sweep_once({**settings, **by_transition, "sweep.older_than_seconds": "0"}) == 15
    assert contents(kafka, swept, b"sweep") == told

    for document in jobs.collection.find():
        ended = run_command(
            "notify", document["id"], settings={**settings, "kafka.topic": notified}
        )
        assert ended.code == 0
    latest = contents(kafka, notified, b"notify")
    assert len(latest) == 3 and latest.items() <= told.items()

    ended = run_command("verify", "--json", settings={**settings, "verify.settle_seconds": "0"})
    assert ended.code == 0, ended.out
