"""The servers the other tests stand on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import ACLOperation, ResourceType
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from bridge.demo.servers.broker import Broker
from bridge.demo.servers.process import free_port, listening, poll
from tests.support.servers.kafka import Kafka, required
from tests.support.servers.mongo import MongoDeployment
from tests.support.servers.proxy import TcpProxy
from tests.support.servers.records import read
from tests.support.servers.versions import kafka_version, mongod_is_chosen, mongod_version

OWNER = """
import sys, time
from pathlib import Path
from bridge.demo.servers.broker import Broker
with Broker(Path(sys.argv[1])) as broker:
    print(broker.port, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDeployment]:
    with MongoDeployment(tmp_path_factory.mktemp("three"), nodes=3) as server:
        yield server


def test_mongod_has_the_chosen_version(mongo: MongoDeployment) -> None:
    if not mongod_is_chosen():
        pytest.skip("JOB_BRIDGE_MONGOD names a program of any version")
    with mongo.client(0) as client:
        assert client.admin.command("buildInfo")["version"] == mongod_version()


def test_kafka_has_the_chosen_version(kafka: Kafka) -> None:
    """Clients can infer only the first two numbers; the broker's log contains all."""
    log = (kafka.folder / "kafka.log").read_text()

    assert set(re.findall(r"Kafka version: (\S+)", log)) == {kafka_version()}


def test_a_step_down_elects_another_node(three: MongoDeployment) -> None:
    before = three.primary_index()

    three.step_down()

    assert three.primary_index() != before


def test_a_killed_primary_is_replaced_and_may_return(three: MongoDeployment) -> None:
    before = three.primary_index()

    three.kill(before)
    after = three.primary_index()
    three.start_node(before)

    assert after != before
    with MongoClient[dict[str, object]](three.uri, w="majority") as client:
        client["test"]["things"].insert_one({})


def test_a_frozen_primary_is_replaced(three: MongoDeployment) -> None:
    before = three.primary_index()

    three.pause(before)
    after = three.primary_index()
    three.resume(before)

    assert after != before
    assert three.primary_index() != before


@pytest.mark.parametrize("replica_set", ["rs0", None])
def test_users_are_asked_for_where_wanted(tmp_path: Path, replica_set: str | None) -> None:
    with MongoDeployment(tmp_path, auth=True, replica_set=replica_set) as server:
        with MongoClient[dict[str, object]](server.root_uri) as client:
            client["test"]["things"].insert_one({})
        with MongoClient[dict[str, object]](server.uri) as client, pytest.raises(OperationFailure):
            client["test"]["things"].insert_one({})


def test_the_demonstrations_broker_takes_keys_and_headers(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        broker.create_topic("things", partitions=2)
        send(broker.bootstrap, "things", count=10)
        records = read(broker.bootstrap, "things", until_quiet=True)

    assert len(records) == 10
    assert {(record.key, record.headers) for record in records} == {(b"key", (("name", b"text"),))}


def test_a_server_ends_with_its_killed_owner(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline())
        assert listening(port)
        os.kill(owner.pid, signal.SIGKILL)

    poll(lambda: not listening(port), "the end of the broker", 60)


def test_kafka_keeps_what_it_acknowledged_when_killed(kafka: Kafka, topic: str) -> None:
    send(kafka.bootstrap, topic, count=10)

    kafka.kill()
    kafka.start()

    assert len(kafka.read(topic)) == 10
    assert kafka.read(f"{topic}-dlq") == []


def test_a_proxy_accepts_its_very_first_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a client is that tries again and again: it may come while the proxy is still made."""
    start, knocking = threading.Thread.start, list[socket.socket]()
    test = threading.current_thread()

    def started(thread: threading.Thread) -> None:
        start(thread)
        # Only for the accepting thread: it starts the others itself, and must not wait for them.
        if threading.current_thread() is test and thread.name == "tcp-proxy":
            knocking.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            assert knocking[0].recv(4) == b"echo"

    monkeypatch.setattr(threading.Thread, "start", started)
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeting = threading.Thread(
            target=lambda: server.accept()[0].sendall(b"echo"), name="server"
        )
        greeting.start()
        with TcpProxy(server.getsockname()[1], port=port) as proxy:
            greeting.join()

            assert proxy.counts.accepted == 1
        knocking[0].close()


def test_a_silent_proxy_holds_messages_back(kafka: Kafka, topic: str) -> None:
    with kafka.proxy() as proxy:
        producer = KafkaProducer(bootstrap_servers=proxy.address, acks="all")
        producer.send(topic, b"first").get(10)
        proxy.silence()
        held = producer.send(topic, b"second")
        with pytest.raises(KafkaError):
            held.get(1)
        assert proxy.counts.held > 0

        proxy.pass_through()
        held.get(10)
        proxy.reset()
        producer.send(topic, b"third").get(10)
        producer.close()

    assert proxy.counts.reset > 0
    assert len(kafka.read(topic)) >= 3


def test_a_user_may_do_what_is_granted_only(tmp_path: Path) -> None:
    required()
    with Kafka(tmp_path, users={"admin": "a", "bridge": "b"}) as server:
        server.create_topic("granted")
        server.create_topic("other")
        server.allow(
            "bridge", ResourceType.TOPIC, "granted", ACLOperation.WRITE, ACLOperation.DESCRIBE
        )
        producer = KafkaProducer(
            bootstrap_servers=server.bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_plain_username="bridge",
            sasl_plain_password="b",
            max_block_ms=5000,
        )
        producer.send("granted", b"value").get(10)
        with pytest.raises(TopicAuthorizationFailedError):
            producer.send("other", b"value").get(10)
        producer.close()
        assert len(server.read("granted")) == 1


def send(bootstrap: str, topic: str, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    sent = [
        producer.send(topic, b"value", key=b"key", headers=[("name", b"text")])
        for _ in range(count)
    ]
    for future in sent:
        future.get(10)
    producer.close()
