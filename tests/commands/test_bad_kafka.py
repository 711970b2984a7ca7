"""A Kafka that is wrong, away, or says no."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.demo.process import free_port
from tests.commands.conftest import Start
from tests.commands.jobs import GOOD, Jobs, told
from tests.commands.running import SECRET, Bridge, Ended, Settings, command
from tests.servers.kafka import Kafka

Refused = Callable[[Settings], Ended]
SASL = {
    "kafka.security_protocol": "SASL_PLAINTEXT", "kafka.sasl_mechanism": "PLAIN",
    "kafka.sasl_username": "whole",
}


@pytest.mark.parametrize("name", ["run", "check"])
def test_a_missing_topic_is_refused_and_not_made(name: str, settings: Settings, kafka: Kafka) -> None:
    ended = command(name, settings={**settings, "kafka.topic": "no-such-topic"})

    said = ended.complaint if name == "run" else ended.out
    assert ended.code == 78
    assert "The topic no-such-topic does not exist" in said
    assert "'job-bridge topics create' makes it; or set kafka.topic" in said
    with kafka.admin() as admin:
        assert "no-such-topic" not in admin.list_topics()


def test_an_unreachable_broker_is_waited_for(
    kafka: Kafka, topic: str, jobs: Jobs, settings: Settings, tmp_path: Path
) -> None:
    given = {**settings, "kafka.bootstrap_servers": f"127.0.0.1:{kafka.proxy_port}"}
    with Bridge(given, tmp_path / "log") as bridge:
        reason = bridge.await_unready("Kafka is out of reach")
        assert f"127.0.0.1:{kafka.proxy_port}" in reason
        assert "Nothing is lost" in reason and "tries again by itself" in reason
        assert bridge.get("/livez")[0] == 200
        assert bridge.metrics()["job_bridge_ready"] == 0
        job_id = jobs.good()  # after the first position was stored: it is owed

        with kafka.proxy():
            bridge.await_ready().await_acked(len(GOOD))
            assert bridge.stop() == 0

    assert told(kafka, topic, job_id) == list(GOOD)
    assert any("working again after" in line for line in bridge.messages())


def test_check_fails_where_no_broker_answers(settings: Settings) -> None:
    port = free_port()
    ended = command("check", settings={**settings, "kafka.bootstrap_servers": f"127.0.0.1:{port}"})

    failures = [line for line in ended.out.splitlines() if line.startswith("failure")]
    assert ended.code == 75
    assert len(failures) == 1 and "kafka" in failures[0] and "out of reach" in failures[0]
    assert "replica set" in ended.out.splitlines()[0]  # the rest is looked at nevertheless


@pytest.mark.parametrize(
    "servers", ["localhost:x", "127.0.0.1:99999999", "http://127.0.0.1:9092/path", ",", "kafka.invalid:9092"]
)
def test_servers_that_make_no_sense_are_told_within_seconds(servers: str, start: Start) -> None:
    with start(kafka__bootstrap_servers=servers) as bridge:
        bridge.wait_until(
            lambda: bridge.process.poll() is not None or "kafka" in bridge.get("/readyz")[1].lower(), "a word on it", 30
        )

        said = [line for line in bridge.messages() if "afka" in line and "status at" not in line]
        assert said and any(word in said[0] for word in ("bootstrap_servers", servers.split(":")[0]))


def test_a_wrong_password_is_refused(locked_kafka: Kafka, settings: Settings) -> None:
    given = {
        **settings, **SASL, "kafka.sasl_password": f"wrong-{SECRET}", "kafka.topic": "granted",
        "kafka.bootstrap_servers": locked_kafka.bootstrap,
    }
    ended = command("run", settings=given)

    assert ended.code == 77
    assert "Kafka refuses this user" in ended.complaint and "Authentication" in ended.complaint
    assert "Nothing is lost" in ended.complaint and "Check kafka.sasl_*" in ended.complaint


def test_a_mechanism_the_broker_does_not_offer_is_refused(locked_kafka: Kafka, settings: Settings) -> None:
    given = {
        **settings, **SASL, "kafka.sasl_mechanism": "SCRAM-SHA-512", "kafka.sasl_password": SECRET,
        "kafka.topic": "granted", "kafka.bootstrap_servers": locked_kafka.bootstrap,
    }
    ended = command("run", settings=given)

    assert ended.code == 77
    assert "SCRAM-SHA-512" in ended.complaint or "mechanism" in ended.complaint.lower()


def test_a_file_of_certificates_that_is_missing_is_refused(refused: Refused) -> None:
    ended = refused({"kafka.security_protocol": "SSL", "kafka.ssl_cafile": "/nowhere/ca.pem"})

    assert ended.code == 78
    assert "kafka.ssl_cafile: cannot read /nowhere/ca.pem. Nothing was read or sent" in ended.complaint


def test_plain_text_to_a_broker_that_wants_a_login_is_told(locked_kafka: Kafka, start: Start) -> None:
    began = time.monotonic()
    with start(kafka__bootstrap_servers=locked_kafka.bootstrap, kafka__topic="granted") as bridge:
        reason = bridge.await_unready("Kafka", deadline=40)

        assert locked_kafka.bootstrap in reason
        assert time.monotonic() - began < 40
