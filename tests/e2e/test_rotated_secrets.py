"""Passwords, certificates and authorities are replaced in place under a running bridge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.secured_bridge import BUSY_SECONDS, PICKED_UP_SECONDS, SecuredBridge
from tests.support.servers import certificates, kafka
from tests.support.servers.certificates import Certificates
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.secured import USER, SecuredKafka, SecuredMongo

DRIVERS = ("kafka-python", "librdkafka")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    certificates.required()
    return Certificates(tmp_path_factory.mktemp("tls") / "files", "server", "client")


@pytest.fixture(scope="module")
def secured_mongo(
    files: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredMongo]:
    with SecuredMongo(tmp_path_factory.mktemp("secured-mongod"), files) as server:
        server.create_certificate_user()
        server.create_user("first")
        yield server


@pytest.fixture(scope="module")
def secured_kafka(
    files: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredKafka]:
    kafka.required()
    with SecuredKafka(tmp_path_factory.mktemp("secured-kafka"), files) as server:
        server.set_password("first")
        yield server


def password_login(broker: SecuredKafka, files: Certificates) -> dict[str, str]:
    return {
        "kafka__bootstrap_servers": broker.bootstrap,
        "kafka__security_protocol": "SASL_SSL",
        "kafka__sasl_username": USER,
        "JOB_BRIDGE_KAFKA_SASL_PASSWORD_FILE": "{password}",
        "kafka__ssl_cafile": files.authority,
    }


def certificate_login(broker: SecuredKafka, files: Certificates) -> dict[str, str]:
    return {
        "kafka__bootstrap_servers": broker.mutual,
        "kafka__security_protocol": "SSL",
        "kafka__ssl_cafile": files.authority,
        "kafka__ssl_certfile": files.file("client"),
        "kafka__ssl_keyfile": files.file("client"),
    }


def test_rotations_at_kafka_are_picked_up(
    files: Certificates, secured_kafka: SecuredKafka, mongo: MongoDeployment, tmp_path: Path
) -> None:
    """SASL_SSL and mTLS with both drivers: a new authority, new certificates, a new password."""
    bridges = [
        SecuredBridge(
            tmp_path, secured_kafka, mongo, mongo__uri=mongo.uri, kafka__driver=driver, **login
        )
        for driver in DRIVERS
        for login in (password_login(secured_kafka, files), certificate_login(secured_kafka, files))
    ]
    with ExitStack() as stack:
        for bridge in bridges:
            stack.enter_context(bridge)
        for bridge in bridges:
            bridge.process.wait_ready()
            bridge.deliver()

        secured_kafka.set_password("second")
        secured_kafka.stop()
        files.rotate()
        for bridge in bridges:
            bridge.password.write_text("second\n")
            bridge.write()
        secured_kafka.start()
        started = time.monotonic()
        for bridge in bridges:
            bridge.await_all()
        waited = time.monotonic() - started

        for bridge in bridges:
            bridge.finish()
    assert waited < PICKED_UP_SECONDS + BUSY_SECONDS


def test_an_unresolvable_advertised_listener_is_named(
    secured_kafka: SecuredKafka, mongo: MongoDeployment, tmp_path: Path
) -> None:
    bridges = [
        SecuredBridge(
            tmp_path,
            secured_kafka,
            mongo,
            mongo__uri=mongo.uri,
            kafka__bootstrap_servers=secured_kafka.lost,
            kafka__driver=driver,
        )
        for driver in DRIVERS
    ]
    with ExitStack() as stack:
        for bridge in bridges:
            stack.enter_context(bridge)
        for bridge in bridges:
            reason = bridge.process.unready_reason("The host name of a broker cannot be resolved")
            assert "kafka-7.invalid:" in reason and "advertised.listeners" in reason
            bridge.finish()


def test_rotations_at_mongodb_are_picked_up(
    files: Certificates,
    secured_mongo: SecuredMongo,
    kafka: kafka.Kafka,
    tmp_path: Path,
) -> None:
    """TLS with SCRAM and X.509: the user made again, a new password, new certificates."""
    password = {
        "mongo__uri": secured_mongo.password_uri,
        "mongo__username": USER,
        "JOB_BRIDGE_MONGO_PASSWORD_FILE": "{password}",
    }
    bridges = [
        SecuredBridge(
            tmp_path, kafka, secured_mongo, kafka__bootstrap_servers=kafka.bootstrap, **login
        )
        for login in (password, {"mongo__uri": secured_mongo.certificate_uri})
    ]
    with ExitStack() as stack:
        for bridge in bridges:
            stack.enter_context(bridge)
        for bridge in bridges:
            bridge.process.wait_ready()
            bridge.deliver()
        with_password = bridges[0]

        secured_mongo.drop_user()
        with_password.process.wait_unready("MongoDB")
        secured_mongo.create_user("first")
        with_password.deliver()

        secured_mongo.drop_user()
        with_password.process.wait_unready("MongoDB")
        secured_mongo.create_user("second")
        with_password.password.write_text("second\n")
        with_password.deliver()

        files.rotate()
        secured_mongo.restart()
        for bridge in bridges:
            bridge.deliver()
            assert bridge.process.metric("job_bridge_clients_replaced_total") > 0
            bridge.finish()
