"""``sweep`` beside a bridge of another mode, and its dry run."""

from __future__ import annotations

import json

from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka


def test_a_dry_run_prints_and_keeps_tags(
    by_transition: GivenSettings, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    job = jobs.add_past(*GOOD)
    before = list(jobs.collection.find())

    ended = run_command("sweep", "--dry-run", "--json", settings=by_transition)

    *messages, summary = map(json.loads, ended.out.splitlines())
    assert [message["state"] for message in messages] == list(GOOD)
    assert (ended.code, summary["messages"], summary["dry_run"]) == (0, 3, True)
    assert list(jobs.collection.find()) == before
    assert kafka.read(topic) == []

    swept = run_command("sweep", "--once", "--json", settings=by_transition)

    assert json.loads(swept.out) == {**summary, "dry_run": False}
    assert "then sets transition_times.notif_sent to true" in swept.err
    assert published_states(kafka, topic, job["id"]) == list(GOOD)


def test_a_sweep_is_refused_beside_another_mode(
    by_transition: GivenSettings,
    start: MakeBridge,
    jobs: JobWriter,
    kafka: Kafka,
    topic: str,
) -> None:
    """Every message would be sent twice."""
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        before = list(jobs.collection.find())

        ended = run_command(
            "sweep", "--once", settings={**by_transition, "sweep.older_than_seconds": "0"}
        )

        assert ended.code == 78
        assert f"process {bridge.pid} on" in ended.error and "--force sweeps" in ended.error
        assert list(jobs.collection.find()) == before
        assert bridge.stop() == 0
    assert published_states(kafka, topic, job_id) == list(GOOD)
    assert run_command("sweep", "--once", settings=by_transition).code == 0
