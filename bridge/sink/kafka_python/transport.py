"""Lets kafka-python hear a broker's last answer before the end of the connection.

Version 3.0.12 throws away what it received in the same read as the end: a broker that refuses a
password answers and closes at once, and the client would only ever say "socket disconnected".
"""

from collections.abc import Callable
from typing import Any

from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Receive = Callable[[Any], tuple[bytes, Exception | None]]


def hear_last_answers() -> None:
    """Change kafka-python's transports, once for all clients of this process."""
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        if transport._sock_recv.__module__ != __name__:
            transport._sock_recv = _answer_first(transport._sock_recv)


def _answer_first(receive: Receive) -> Receive:
    def received(transport: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(transport)
        # The end is still there to be found by the next read.
        return (data, None) if data else (data, error)

    return received
