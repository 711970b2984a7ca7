"""The private parts of kafka-python's connections that the bridge uses or changes.

kafka-python has no public way to choose a transport, to learn why a connection failed, or to keep a
broker from creating a topic. ``producer_patches`` has the private parts of the producer,
``reader_patches`` those of the consumer, ``rights`` those of the admin client. Every change is made
to subclasses and objects of the bridge's own clients: the classes, the loggers and the other
clients of the process stay as they are. :func:`require_supported_version` checks every name before
it is used.
"""

import itertools
import random
import re
import time
from collections.abc import Set
from functools import partial
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, __version__
from kafka import errors as kafka_errors
from kafka.cluster import ClusterMetadata
from kafka.net.compat import KafkaNetClient
from kafka.net.connection import KafkaConnection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.producer.record_accumulator import RecordAccumulator
from kafka.producer.sender import Sender
from kafka.producer.transaction_manager import TransactionManager
from kafka.protocol.producer import ProduceRequest
from kafka.record.default_records import DefaultRecordBatch

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.errors import (
    FIRST_KAFKA_PYTHON,
    FIRST_UNSUPPORTED_KAFKA_PYTHON,
    unsupported_client_error,
)
from bridge.kafka.kafka_python.debug_log import at_debug

_PRIVATE_NAMES: dict[type, tuple[str, ...]] = {
    DefaultRecordBatch: ("_buffer", "_pos", "_read_msg"),
    KafkaAdminClient: ("_find_coordinator_id", "_manager"),
    ClusterMetadata: ("_topics", "bootstrap_brokers", "config"),
    KafkaConnectionManager: (
        "_backoff",
        "_build_transport",
        "_connect",
        "get_connection",
        "socket_connection_setup_timeout_ms",
    ),
    KafkaProducer: ("_accumulator", "_sender", "_transaction_manager"),
    KafkaSSLTransport: ("_sock_recv", "_sock_send"),
    KafkaTCPTransport: ("_sock_recv", "_sock_send", "_write_buffer"),
    RecordAccumulator: ("_batches", "_tp_lock", "ready"),
    Sender: ("_can_split", "_client", "_dispatch_error", "run_once"),
    TransactionManager: ("_NEEDS_EPOCH_BUMP_ERRORS",),
}

#: The shortest wait of the sender for a broker that accepts nothing at the moment.
_MIN_DELAY_MS = 100.0
_UNKNOWN_TOPIC = kafka_errors.UnknownTopicOrPartitionError.errno
_Selector = at_debug(NetworkSelector)
#: Reported when a client closes its own connection.
_OWN_CLOSE = (kafka_errors.KafkaConnectionError, kafka_errors.Cancelled)


def require_supported_version() -> None:
    """Raise :class:`Misconfigured` if kafka-python has another version or lacks a private name."""
    version = tuple(int(number) for number in re.findall(r"\d+", __version__)[:3])
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in _PRIVATE_NAMES.items()
        for name in names
        if not _has(owner, name)
    ]
    if missing or not FIRST_KAFKA_PYTHON <= version < FIRST_UNSUPPORTED_KAFKA_PYTHON:
        lacks = f" and lacks {', '.join(missing)}" if missing else ""
        raise unsupported_client_error(f"kafka-python {__version__} is installed{lacks}")


def _has(owner: type, name: str) -> bool:
    """Whether a class has this name, or its constructor sets it."""
    return hasattr(owner, name) or name in owner.__init__.__code__.co_names  # type: ignore[misc]


class _EagerTransport:
    """Writes a request when it is made, and delivers a broker's last answer.

    kafka-python would write in a later round of its event loop. It drops data that arrives together
    with the end of the connection, such as the reason why a broker refuses a password.
    """

    def write(self: Any, data: bytes) -> None:
        """Send at once as much as the socket accepts; only the event loop's thread writes."""
        super().write(data)  # type: ignore[misc]
        _, error = self._sock_send()
        self.last_write = time.monotonic()
        if error:  # the event loop meets the error too, and closes the connection
            self._write_buffer.append(data)

    def _sock_recv(self: Any) -> tuple[bytes, Exception | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        # The next read finds the end of the connection again.
        return (data, None) if data else (data, error)


class TcpTransport(_EagerTransport, at_debug(KafkaTCPTransport)):  # type: ignore[misc]
    """A connection without TLS."""


class TlsTransport(_EagerTransport, at_debug(KafkaSSLTransport)):  # type: ignore[misc]
    """A connection with TLS."""


class NetworkClient(at_debug(KafkaNetClient)):  # type: ignore[misc]  # it has no types
    """kafka-python's network client; its connections report why they fail."""

    def __init__(self, latest_warning: LatestWarning, **configs: Any) -> None:
        self._selector = _Selector(**configs)
        self._connections = _ConnectionManager(self._selector, latest_warning, **configs)
        super().__init__(net=self._selector, manager=self._connections, **configs)

    def discard(self) -> None:
        """Close the client and its thread, in whatever state a failed constructor left them."""
        self.close()
        self._selector.stop()
        self._selector.close()


class ProducerNetworkClient(NetworkClient):
    """Lets the sender thread wait while a broker accepts nothing; otherwise it would spin.

    Attributes:
        unanswered_batches: How many requests with batches have no answer yet. The sender forgets a
            batch that it has given up, although the broker may still write it.
    """

    unanswered_batches = 0

    def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request and return its future."""
        future = super().send(node_id, request, **options)
        if isinstance(request, ProduceRequest):
            self.unanswered_batches += 1
            future.add_both(self._note_answer)
        return future

    def _note_answer(self, _: Any) -> None:
        self.unanswered_batches -= 1

    def connection_delay(self, node_id: int) -> float:
        """Return how long the sender may wait for this broker, in milliseconds.

        kafka-python returns seconds, and 0 while it connects or has enough requests in flight. An
        answer or a new connection ends the wait early.
        """
        return max(float(super().connection_delay(node_id)) * 1000, _MIN_DELAY_MS)

    def missing_topics(self) -> Set[str]:
        """Return the requested topics that do not exist, by the broker's last answer."""
        return self._connections.missing_topics

    def throttling(self) -> str:
        """Return which broker throttles this client, or an empty string."""
        for broker in self.cluster.brokers():
            if delay_ms := self.throttle_delay(broker.node_id):
                return f"{broker.host}:{broker.port}: throttled for {delay_ms:.0f} ms"
        return ""


class _ConnectionManager(
    at_debug(  # type: ignore[misc]
        KafkaConnectionManager,
        ClusterMetadata=at_debug(ClusterMetadata),
        KafkaConnection=at_debug(KafkaConnection),
        KafkaSSLTransport=TlsTransport,
        KafkaTCPTransport=TcpTransport,
    )
):
    """Reports failed connections, and waits longer after each refused login.

    It tries the bootstrap servers in turn, each for a short time. kafka-python tries one by chance
    for as long as the client may wait, however many others would answer.
    """

    def __init__(self, net: NetworkSelector, latest_warning: LatestWarning, **configs: Any) -> None:
        super().__init__(net, **configs)
        self.missing_topics: Set[str] = frozenset()
        # kafka-python does not pass the options of these names on.
        self.config["socket_connection_setup_timeout_ms"] = timeouts.milliseconds(
            timeouts.CONNECT_SECONDS
        )
        self.config["socket_connection_setup_timeout_max_ms"] = timeouts.milliseconds(
            timeouts.MAX_CONNECT_SECONDS
        )
        bootstrap_brokers = self.cluster.bootstrap_brokers()
        random.shuffle(bootstrap_brokers)
        in_turn = itertools.cycle(bootstrap_brokers)
        self.cluster.bootstrap_brokers = lambda: [next(in_turn)]
        self._latest_warning = latest_warning
        # The broker may create a topic that a client asks for, also after the topic was deleted.
        # kafka-python does not pass the option of this name on.
        self.cluster.config["allow_auto_create_topics"] = False
        self._apply_metadata = self.cluster.update_metadata
        self.cluster.update_metadata = self._metadata_received

    def get_connection(self, node_id: Any, timeout_ms: float | None = None, **options: Any) -> Any:
        """Return the connection to a server, which is made if needed."""
        patience = self.socket_connection_setup_timeout_ms(node_id)
        patience = patience if timeout_ms is None else min(patience, timeout_ms)
        return super().get_connection(node_id, timeout_ms=patience, **options)

    async def _connect(self, node: Any, connection: Any, **options: Any) -> None:
        report = partial(self._connection_failed, f"{node.host}:{node.port}")
        connection.init_future.add_errback(report)
        connection.close_future.add_errback(report)
        backoff = self._backoff.get(node.node_id)
        await super()._connect(node, connection, **options)
        # kafka-python treats a refused login as a success and resets the backoff. It would connect
        # again without a pause: a whole core here, and a flood of logins at the broker.
        if not connection.connected and node.node_id not in self._backoff:
            if backoff:
                self._backoff[node.node_id] = backoff
            self.update_backoff(node.node_id)

    def _connection_failed(self, address: str, error: Exception) -> None:
        if error.args or not isinstance(error, _OWN_CLOSE):
            self._latest_warning.note(f"{address}: {error}")

    def _metadata_received(self, response: Any) -> None:
        if not response.brokers:
            self._latest_warning.note("the broker reports that no broker is available")
        for topic in response.topics:
            if topic.error_code and topic.name in self.cluster._topics:
                error = kafka_errors.for_code(topic.error_code)
                self._latest_warning.note(f"topic {topic.name}: {error.__name__}")
        self.missing_topics = frozenset(
            topic.name for topic in response.topics if topic.error_code == _UNKNOWN_TOPIC
        )
        self._apply_metadata(response)
