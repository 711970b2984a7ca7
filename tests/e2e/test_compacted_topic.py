"""A compacted topic: ``check`` warns, ``verify`` compares latest states and repairs nothing."""

from __future__ import annotations

import pytest

from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.verification_results import counts, replay, verify


@pytest.fixture(params=["kafka-python", "librdkafka"])
def given(
    request: pytest.FixtureRequest, settings: GivenSettings, kafka: Kafka, topic: str
) -> dict[str, str]:
    kafka.alter_topic(topic, cleanup_policy="compact,delete")
    return {**settings, "kafka.driver": request.param, "verify.settle_seconds": "0"}


def test_check_warns_of_compaction(given: GivenSettings) -> None:
    checked = run_command("check", settings=given)

    (line,) = [line for line in checked.out.splitlines() if "cleanup.policy" in line]
    assert line.startswith("warning  topic") and "set cleanup.policy = delete" in line


def test_verify_compares_the_latest_of_each_job(
    given: GivenSettings, jobs: JobWriter, kafka: Kafka
) -> None:
    whole, latest, old = (jobs.add_past(*GOOD)["id"] for _ in range(3))
    replay(given, "--job", whole)
    replay(given, "--job", latest, "--state", GOOD[-1])
    replay(given, "--job", old)
    replay(given, "--job", old, "--state", GOOD[0])
    sent = len(kafka.read(given["kafka.topic"]))

    document = verify(given)
    refused = run_command("verify", "--repair", settings=given)
    shown = run_command("verify", settings=given)

    assert document["compacted"] is True
    assert document["code"] == 75
    assert counts(document) == {"transitions": 4, "messages": 3, "missing": 1}
    assert (
        old in document["examples"]["missing"][0] and GOOD[-1] in document["examples"]["missing"][0]
    )
    assert "is compacted: Kafka keeps only the latest message of each job" in shown.err
    assert "--repair" not in shown.out
    assert refused.code == 78 and refused.out == ""
    assert "would send old states after newer ones" in refused.error
    assert "Nothing was compared or sent" in refused.error
    assert "job-bridge replay --job ID" in refused.error
    assert len(kafka.read(given["kafka.topic"])) == sent

    replay(given, "--job", old)
    assert verify(given)["code"] == 0
