"""The two Kafka drivers behave alike in commands, checkpoints and partitions."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bridge.demo.servers.process import free_port
from bridge.errors import Misconfigured
from bridge.kafka.drivers import driver_of
from tests.e2e.conftest import MakeBridge
from tests.support.command import ROOT, GivenSettings, run_command
from tests.support.factories import settings as configured
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka

DRIVERS = ("kafka-python", "librdkafka")
VERSIONS = {"kafka-python": "kafka-python 3.", "librdkafka": "librdkafka 2."}


@pytest.mark.parametrize(
    ("asked", "used"),
    [("auto", "librdkafka"), ("kafka-python", "kafka-python"), ("librdkafka", "librdkafka")],
)
def test_the_log_and_status_name_the_driver(
    start: MakeBridge, jobs: JobWriter, asked: str, used: str
) -> None:
    assert jobs.collection.name == "jobs"
    with start(kafka__driver=asked) as bridge:
        status = bridge.wait_ready().status()
        assert bridge.stop() == 0

    assert status["driver"].startswith(VERSIONS[used])
    assert f"by {VERSIONS[used]}" in bridge.messages()[0]


@pytest.mark.parametrize("order", [DRIVERS, DRIVERS[::-1]])
def test_the_drivers_share_checkpoints_and_partitions(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str, order: tuple[str, str]
) -> None:
    ids: list[str] = []
    for driver in order:
        with start(kafka__driver=driver) as bridge:
            bridge.wait_ready()
            ids += [jobs.add_good() for _ in range(10)]
            bridge.wait_acked(10 * len(GOOD))
            assert bridge.stop() == 0
        for job_id in ids[:10]:
            jobs.move(job_id, "error")  # of a job that the other one began
    with start(kafka__driver=order[0]) as bridge:
        bridge.wait_ready().wait_acked(10)
        assert bridge.stop() == 0

    homes: Mapping[bytes | None, set[int]] = {
        key: {record.partition for record in kafka.read(topic) if record.key == key}
        for key in {record.key for record in kafka.read(topic)}
    }
    assert [published_states(kafka, topic, job_id) for job_id in ids[:10]] == [
        [*GOOD, "error", "error"]
    ] * 10
    assert [published_states(kafka, topic, job_id) for job_id in ids[10:]] == [list(GOOD)] * 10
    assert len(homes) == 20 and {len(partitions) for partitions in homes.values()} == {1}


@pytest.mark.parametrize("driver", DRIVERS)
def test_topics_are_made_and_checked_with_either(
    settings: GivenSettings, kafka: Kafka, topic: str, driver: str
) -> None:
    given = {**settings, "kafka.topic": f"{topic}-new", "kafka.driver": driver}
    made = run_command("topics", "create", "--partitions", "4", settings=given)
    too_many = run_command(
        "topics", "create", "--replicas", "9", settings={**given, "kafka.topic": f"{topic}-many"}
    )
    kafka.alter_topic(f"{topic}-new", max_message_bytes=70_000, retention_ms=3_600_000)
    checked = run_command("check", settings=given)

    assert made.code == 0 and "created with 4 partition(s)" in made.out
    assert too_many.code == 78 and "Set --replicas to at most" in too_many.error
    for words in (
        VERSIONS[driver],
        f"{topic}-new, 4 partition(s), 1 replica(s)",
        "max.message.bytes 70000",
        "min.insync.replicas 1",
        "keeps messages for 1 hours",
        f"topic {topic}-new-dlq, 1 partition(s)",
    ):
        assert words in checked.out


def test_a_driver_nobody_knows_is_refused(settings: GivenSettings) -> None:
    ended = run_command("run", settings={**settings, "kafka.driver": "pykafka"})

    assert ended.code == 78
    assert "JOB_BRIDGE_KAFKA_DRIVER" in ended.error and "librdkafka" in ended.error


def test_without_librdkafka_auto_is_kafka_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asking for librdkafka itself is refused."""
    _cannot_import(monkeypatch, ModuleNotFoundError("No module named 'confluent_kafka'"))

    assert driver_of(configured(kafka__driver="auto")).name == "kafka-python"
    with pytest.raises(Misconfigured, match="pip install confluent-kafka"):
        driver_of(configured(kafka__driver="librdkafka"))


def test_an_extra_that_does_not_load_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _cannot_import(monkeypatch, ImportError("librdkafka.so.1: cannot open shared object file"))

    assert driver_of(configured(kafka__driver="auto")).name == "kafka-python"
    assert "librdkafka.so.1: cannot open shared object file" in caplog.text


def test_both_drivers_get_the_same_tls_settings() -> None:
    from bridge.kafka.kafka_python.client import connection as kafka_python
    from bridge.kafka.librdkafka.client import connection as librdkafka
    from bridge.kafka.librdkafka.client import make_latest_warning

    files = {
        name: ROOT / "tests/unit/kafka/tls" / f"{file}.pem"
        for name, file in (
            ("cafile", "certificate"),
            ("certfile", "certificate"),
            ("keyfile", "locked-key"),
        )
    }
    config = configured(
        kafka__bootstrap_servers=f"a:{free_port()},b:1",
        kafka__security_protocol="SASL_SSL",
        kafka__sasl_mechanism="SCRAM-SHA-256",
        kafka__sasl_username="bridge",
        kafka__sasl_password="secret",
        kafka__ssl_password="opens",
        **{f"kafka__ssl_{name}": str(path) for name, path in files.items()},
    )
    python, c = kafka_python(config), librdkafka(config, make_latest_warning())

    pairs = {
        "security_protocol": "security.protocol",
        "sasl_mechanism": "sasl.mechanism",
        "sasl_plain_username": "sasl.username",
        "sasl_plain_password": "sasl.password",
        "ssl_cafile": "ssl.ca.location",
        "ssl_certfile": "ssl.certificate.location",
        "ssl_keyfile": "ssl.key.location",
        "ssl_password": "ssl.key.password",
        "request_timeout_ms": "socket.timeout.ms",
        "reconnect_backoff_max_ms": "reconnect.backoff.max.ms",
    }
    assert all(python[name] == c[other] for name, other in pairs.items())
    assert ",".join(python["bootstrap_servers"]) == c["bootstrap.servers"]


def _cannot_import(monkeypatch: pytest.MonkeyPatch, error: ImportError) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("bridge.kafka.drivers._librdkafka", fail)
