"""``kafka.options`` of a bridge and of commands: what arrives, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeBridge
from tests.support.command import SECRET, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.state_topic import create_state_topic

#: Our addresses are of version 4.
UNUSABLE = '{"broker.address.family": "v6"}'
UNKNOWN = f'{{"ssl.key.pm": "{SECRET}"}}'
COMMANDS = (["run"], ["check"], ["topics", "create"], ["verify"], ["config", "validate"])


def test_a_table_in_the_file_is_used(
    start: MakeBridge,
    jobs: JobWriter,
    kafka: Kafka,
    topic: str,
    settings: GivenSettings,
    tmp_path: Path,
) -> None:
    """In the mode with the most clients of librdkafka."""
    path = tmp_path / "settings.toml"
    create_state_topic(kafka, topic)
    path.write_text('[kafka.options]\nbroker.address.family = "v6"\n')
    unusable = run_command("check", settings={**settings, "JOB_BRIDGE_CONFIG": str(path)})
    assert unusable.code == 75 and "cannot be resolved" in unusable.out
    path.write_text('[kafka.options]\nbroker.address.family = "v4"\nclient.rack = "a"\n')
    with start(
        JOB_BRIDGE_CONFIG=str(path), delivery__mode="exactly-once", checkpoint__store="kafka"
    ) as bridge:
        bridge.wait_ready()
        job_id = jobs.add_good()
        bridge.wait_acked(len(GOOD))
        assert bridge.stop() == 0

    assert published_states(kafka, topic, job_id) == list(GOOD)


def test_an_option_reaches_the_connections(settings: GivenSettings, jobs: JobWriter) -> None:
    """The same command without the option succeeds."""
    assert jobs.collection.name == "jobs"

    plain = run_command("check", settings=settings)
    changed = run_command("check", settings={**settings, "kafka.options": UNUSABLE})

    assert plain.code == 0
    assert changed.code == 75 and "The host name of a broker cannot be resolved" in changed.out


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (UNKNOWN, "kafka.options: ssl.key.pm is unknown (did you mean ssl.key.pem?)"),
        (
            f'{{"broker.address.family": "{SECRET}"}}',
            "kafka.options: the value of broker.address.family is not accepted",
        ),
        (
            f'{{"sasl.password": "{SECRET}"}}',
            "KAFKA_OPTIONS: sasl.password is not accepted: set kafka.sasl_password instead",
        ),
    ],
    ids=["unknown", "value", "refused"],
)
def test_wrong_options_end_every_command(
    arguments: list[str], options: str, problem: str, settings: GivenSettings
) -> None:
    """With one line; ``run_command`` fails if the output contains the secret."""
    ended = run_command(*arguments, settings={**settings, "kafka.options": options})

    assert ended.code == 78
    assert problem in ended.out + ended.err


def test_options_without_librdkafka_are_refused(settings: GivenSettings) -> None:
    given = {**settings, "kafka.driver": "kafka-python", "kafka.options": UNUSABLE}

    ended = run_command("run", settings=given)

    assert ended.code == 78 and "kafka.options needs the driver librdkafka" in ended.error


def test_options_are_not_shown(settings: GivenSettings) -> None:
    given = {**settings, "kafka.options": f'{{"ssl.key.pem": "{SECRET}"}}'}

    ended = run_command("config", "show", settings=given)

    (line,) = [line for line in ended.out.splitlines() if line.startswith("kafka.options ")]
    assert "(secret)" in line and line.endswith("JOB_BRIDGE_KAFKA_OPTIONS")
