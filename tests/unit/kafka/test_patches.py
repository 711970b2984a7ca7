"""The bridge's changes to kafka-python: guarded, and only in its own objects."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.net.selector import NetworkSelector
from kafka.producer.sender import Sender

from bridge.errors import Misconfigured
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import SUPPORTED_KAFKA_PYTHON
from bridge.kafka.kafka_python import patches
from bridge.kafka.kafka_python.patches import (
    NetworkClient,
    ProducerNetworkClient,
    TcpTransport,
    TlsTransport,
    require_supported_version,
)

TLS = Path(__file__).parent / "tls"
#: More than both socket buffers hold.
LARGE = 8 * 1024 * 1024


class Connection:
    """A transport, its event loop, and the other end; the protocol of the transport."""

    _sensors = None

    def __init__(self) -> None:
        here, self.peer = socket.socketpair()
        here.setblocking(False)
        self.peer.settimeout(20)
        self.net = NetworkSelector()
        self.transport: Any = TcpTransport(self.net, here)
        self.transport.set_protocol(self)
        self.received = b""
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)

    def poll(self, rounds: int = 5) -> None:
        for _ in range(rounds):
            self.net.poll(timeout_ms=100)

    def close(self) -> None:
        self.peer.close()
        self.transport.close()
        self.net.close()


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection()
    yield connection
    connection.close()


def test_a_request_is_written_when_it_is_made(connection: Connection) -> None:
    connection.transport.write(b"one")
    connection.transport.write(b"two")

    # Without a round of the event loop.
    assert connection.peer.recv(100) == b"onetwo"


def test_data_beyond_the_socket_buffer_follows_in_order(connection: Connection) -> None:
    first, second = bytes(LARGE), b"\1" * LARGE
    connection.transport.write(first)
    connection.transport.write(second)
    connection.transport.write(b"end")
    assert len(connection.transport._write_buffer) == 3

    received = bytearray()
    while len(received) < 2 * LARGE + 3:
        connection.net.poll(timeout_ms=10)
        received += connection.peer.recv(LARGE)
    connection.transport.write(b"more")

    assert received == first + second + b"end"
    assert connection.peer.recv(100) == b"more"


def test_a_dead_connection_ends_in_the_event_loop(connection: Connection) -> None:
    connection.peer.close()

    connection.transport.write(b"one")

    assert connection.lost == []  # not inside of the write
    connection.poll()
    assert len(connection.lost) == 1
    assert "Broken pipe" in str(connection.lost[0])


def test_a_last_answer_is_delivered_before_the_end(connection: Connection) -> None:
    """A broker that refuses a password answers and closes at once."""
    connection.transport.resume_reading()
    connection.peer.send(b"refused")
    connection.peer.close()

    connection.poll()

    assert connection.received == b"refused"
    assert "socket disconnected" in str(connection.lost[0])


def test_the_installed_version_is_supported() -> None:
    require_supported_version()

    setup = (Path(__file__).parents[3] / "setup.cfg").read_text()
    # The package installs with older versions too, for the notifier; pip prefers the newest.
    newest = SUPPORTED_KAFKA_PYTHON.partition(",")[2]
    assert f"kafka-python[crc32c]>=2.0.2,{newest}" in setup


def test_a_missing_private_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Sender, "_can_split")

    with pytest.raises(
        Misconfigured, match=r"kafka-python 3\..* lacks Sender\._can_split.*pip install 'kafka-"
    ):
        require_supported_version()


@pytest.mark.parametrize("version", ["2.2.15", "3.0.11", "3.1.0", "4.0.0.dev1"])
def test_another_version_is_reported(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "__version__", version)

    with pytest.raises(Misconfigured, match=f"{version} is installed; the bridge supports"):
        require_supported_version()


@pytest.fixture
def latest_warning() -> LatestWarning:
    return LatestWarning()


@pytest.fixture
def client(latest_warning: LatestWarning) -> Iterator[ProducerNetworkClient]:
    client = ProducerNetworkClient(latest_warning, bootstrap_servers="127.0.0.1:1")
    yield client
    client.discard()


def test_a_broker_without_brokers_is_reported(
    client: ProducerNetworkClient, latest_warning: LatestWarning
) -> None:
    client.cluster.update_metadata(SimpleNamespace(brokers=[], topics=[]))

    assert latest_warning.recent() == "the broker reports that no broker is available"


def test_an_error_of_a_used_topic_is_reported(
    client: ProducerNetworkClient, latest_warning: LatestWarning
) -> None:
    client.cluster.add_topic("jobs")
    topics = [SimpleNamespace(name=name, error_code=29) for name in ("jobs", "others")]
    client.cluster.update_metadata(SimpleNamespace(brokers=[], topics=topics))

    assert latest_warning.recent() == "topic jobs: TopicAuthorizationFailedError"


def test_throttling_is_reported(
    client: ProducerNetworkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.throttling() == ""

    broker = SimpleNamespace(node_id=1, host="kafka", port=9092)
    monkeypatch.setattr(client.cluster, "brokers", lambda: {broker.node_id: broker}.values())
    monkeypatch.setattr(client, "throttle_delay", {1: 250.0}.__getitem__)

    assert client.throttling() == "kafka:9092: throttled for 250 ms"


def echo(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    """Answer a client with its own data, then close."""
    peer, _ = listener.accept()
    with context.wrap_socket(peer, server_side=True) if context else peer as connection:
        connection.sendall(connection.recv(100))


@pytest.mark.parametrize(
    ("protocol", "transport_class"), [("PLAINTEXT", TcpTransport), ("SSL", TlsTransport)]
)
def test_connections_use_the_eager_transports(protocol: str, transport_class: Any) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    client = NetworkClient(
        LatestWarning(),
        security_protocol=protocol,
        ssl_cafile=str(TLS / "certificate.pem"),
        ssl_check_hostname=False,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(
            target=echo, args=(listener, context if protocol == "SSL" else None)
        )
        server.start()
        node = SimpleNamespace(host="127.0.0.1", port=listener.getsockname()[1])
        manager = client._manager
        transport: Any = manager.run(manager._build_transport, node)
        transport.write(b"hello")
        server.join(20)

    assert transport._sock_recv() == (b"hello", None)
    transport.abort()
    client.discard()
    assert type(transport) is transport_class
