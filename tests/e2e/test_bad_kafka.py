"""Kafka is unreachable, misconfigured, or refuses the user."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.demo.servers.process import free_port
from tests.support.bridge_process import BridgeProcess
from tests.support.command import SECRET, EndedCommand, GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

Refused = Callable[[GivenSettings], EndedCommand]
SASL = {
    "kafka.security_protocol": "SASL_PLAINTEXT",
    "kafka.sasl_mechanism": "PLAIN",
    "kafka.sasl_username": "whole",
}


@pytest.mark.parametrize("name", ["run", "check"])
def test_a_missing_topic_is_refused_and_not_made(
    name: str, settings: GivenSettings, kafka: Kafka
) -> None:
    ended = run_command(name, settings={**settings, "kafka.topic": "no-such-topic"})

    output = ended.error if name == "run" else ended.out
    assert ended.code == 78
    assert (
        "The topic no-such-topic does not exist, or this user may not see it. "
        "Nothing was read or sent" in output
    )
    assert "'job-bridge topics create' creates it; or set kafka.topic" in output
    with kafka.admin() as admin:
        assert "no-such-topic" not in admin.list_topics()


def test_an_unreachable_broker_is_waited_for(
    kafka: Kafka, topic: str, jobs: JobWriter, settings: GivenSettings, tmp_path: Path
) -> None:
    given = {**settings, "kafka.bootstrap_servers": f"127.0.0.1:{kafka.proxy_port}"}
    with BridgeProcess(given, tmp_path / "log") as bridge:
        reason = bridge.unready_reason("Kafka refuses connections")
        assert f"127.0.0.1:{kafka.proxy_port}" in reason
        assert "Nothing is lost" in reason and "retries by itself" in reason
        assert bridge.get("/livez")[0] == 200
        assert bridge.metrics()["job_bridge_ready"] == 0
        job_id = jobs.add_good()  # after the first position was stored: it is owed

        with kafka.proxy():
            bridge.wait_ready().wait_acked(len(GOOD))
            assert bridge.stop() == 0

    assert published_states(kafka, topic, job_id) == list(GOOD)
    assert any("working again after" in line for line in bridge.messages())


@pytest.mark.parametrize(
    "servers",
    ["localhost", "localhost:x", "127.0.0.1:99999", "http://127.0.0.1:9092/path", "a:1,,b:2", ""],
)
def test_servers_that_make_no_sense_are_refused(servers: str, refused: Refused) -> None:
    ended = refused({"kafka.bootstrap_servers": servers})

    assert ended.code == 78
    assert "JOB_BRIDGE_KAFKA_BOOTSTRAP_SERVERS: " in ended.error
    assert "is not HOST:PORT; several are separated by commas" in ended.error


@pytest.fixture(scope="module", params=["kafka-python", "librdkafka"])
def slow(
    request: pytest.FixtureRequest, mongo: MongoDeployment, locked_kafka: Kafka
) -> dict[str, EndedCommand]:
    """Commands that take ten seconds to give up on Kafka, all at once."""
    port = free_port()
    given = {
        "mongo.uri": mongo.uri,
        "mongo.database": f"slow-{port}",
        "checkpoint.name": f"slow-{port}",
        "kafka.topic": "granted",
        "kafka.driver": request.param,
        "kafka.bootstrap_servers": locked_kafka.bootstrap,
        "http.port": "0",
        "log.format": "json",
    }
    wanted: dict[str, tuple[str, dict[str, str]]] = {
        "password": (
            "run",
            {
                **SASL,
                "kafka.sasl_password": f"wrong-{SECRET}",
                "checkpoint.name": f"password-{port}",
            },
        ),
        "mechanism": (
            "run",
            {**SASL, "kafka.sasl_password": SECRET, "kafka.sasl_mechanism": "SCRAM-SHA-512"},
        ),
        "nobody": ("check", {"kafka.bootstrap_servers": f"127.0.0.1:{port}"}),
        "host": ("check", {"kafka.bootstrap_servers": "kafka.invalid:9092"}),
        "plain text": ("check", {}),
    }
    with ThreadPoolExecutor() as pool:
        running = {
            what: pool.submit(run_command, name, settings={**given, **changed})
            for what, (name, changed) in wanted.items()
        }
        return {what: future.result() for what, future in running.items()}


def test_a_wrong_password_is_refused(slow: dict[str, EndedCommand]) -> None:
    ended = slow["password"]

    assert ended.code == 77
    assert "Kafka refuses this user" in ended.error
    assert "Authentication failed: Invalid username or password" in ended.error
    assert "Nothing is lost" in ended.error and "Check kafka.sasl_*" in ended.error


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_topics_need_create(driver: str, locked_kafka: Kafka) -> None:
    given = {
        **SASL,
        "kafka.sasl_password": f"whole-{SECRET}",
        "kafka.bootstrap_servers": locked_kafka.bootstrap,
        "kafka.driver": driver,
        "kafka.topic": "not-granted",
    }

    ended = run_command("topics", "create", settings=given)

    assert (ended.code, ended.out) == (77, "")
    assert "No topic was created" in ended.error and "grant Create on the cluster" in ended.error


def test_an_unsupported_mechanism_is_refused(slow: dict[str, EndedCommand]) -> None:
    ended = slow["mechanism"]

    assert ended.code == 77
    assert "mechanism" in ended.error.lower() and "Check kafka.sasl_*" in ended.error


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nobody", ("Kafka refuses connections at 127.0.0.1:",)),
        ("host", ("The host name of a broker cannot be resolved at kafka.invalid:9092",)),
        ("plain text", ("socket disconnected", "connection closed by peer")),
    ],
)
def test_check_tells_why_no_broker_answers(
    what: str, words: tuple[str, ...], slow: dict[str, EndedCommand]
) -> None:
    ended = slow[what]

    failures = [line for line in ended.out.splitlines() if line.startswith("failure")]
    assert ended.code == 75
    assert len(failures) == 1 and "Nothing is lost" in failures[0]
    assert any(cause in failures[0] for cause in words), failures[0]
    assert "Check kafka.bootstrap_servers and kafka.security_protocol" in failures[0]
    assert "replica set" in ended.out.splitlines()[0]  # the rest is looked at nevertheless


def test_a_missing_certificate_file_is_refused(refused: Refused) -> None:
    ended = refused({"kafka.security_protocol": "SSL", "kafka.ssl_cafile": "/nowhere/ca.pem"})

    assert ended.code == 78
    assert "kafka.ssl_cafile: cannot read /nowhere/ca.pem. Nothing was read or sent" in ended.error


@pytest.mark.parametrize("arguments", [["run"], ["check"], ["config", "validate"]], ids=" ".join)
@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_missing_kerberos_is_said(
    arguments: list[str], driver: str, settings: GivenSettings
) -> None:
    """Neither the package gssapi nor a librdkafka with Kerberos is installed by the tests."""
    given = {"kafka.security_protocol": "SASL_PLAINTEXT", "kafka.sasl_mechanism": "GSSAPI"}

    ended = run_command(*arguments, settings={**settings, **given, "kafka.driver": driver})

    assert ended.code == 78
    assert "kafka.sasl_mechanism = GSSAPI: " in ended.out + ended.err
    assert "pip install gssapi" in ended.out + ended.err
