"""Three mends of the connections of kafka-python 3.0.12.

- A broker's last answer is heard before the end of the connection. It is thrown away when both come in one read: a
  broker that refuses a password answers and closes at once, and the client would only ever say "socket disconnected".
- A request is written when it is made, as asyncio's transports do, and only what the socket does not take waits for it.
  Each would wait, through two more rounds of the sender: 0.2 ms of a message's way (docs/benchmarks.md). One thread
  makes all writes of a connection, the one of its event loop.
- A connection that was made and then refused, as with a wrong password, is tried again after a pause, which grows as it does
  for one that could not be made. It is taken for a success, and tried again at once: a whole core, and a broker full of attempts.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Receive = Callable[[Any], tuple[bytes, Exception | None]]
Write = Callable[[Any, bytes], None]
Connect = Callable[..., Awaitable[None]]


def mend_connections() -> None:
    """Change kafka-python's connections, once for all clients of this process."""
    if KafkaTCPTransport.write.__module__ == __name__:
        return
    KafkaTCPTransport.write = _at_once(KafkaTCPTransport.write)  # TLS has no own one
    for transport in (KafkaTCPTransport, KafkaSSLTransport):
        transport._sock_recv = _answer_first(transport._sock_recv)
    KafkaConnectionManager._connect = _with_pauses(KafkaConnectionManager._connect)


def _at_once(write: Write) -> Write:
    def written(transport: Any, data: bytes) -> None:
        write(transport, data)
        _, error = transport._sock_send()
        transport.last_write = time.monotonic()
        if error:  # the task that write began finds it too, and ends the connection
            transport._write_buffer.append(data)

    return written


def _answer_first(receive: Receive) -> Receive:
    def received(transport: Any) -> tuple[bytes, Exception | None]:
        data, error = receive(transport)
        # The end is still there to be found by the next read.
        return (data, None) if data else (data, error)

    return received


def _with_pauses(connect: Connect) -> Connect:
    async def connected(manager: Any, node: Any, connection: Any, **how: Any) -> None:
        before = manager._backoff.get(node.node_id)
        await connect(manager, node, connection, **how)
        if (
            not connection.connected and node.node_id not in manager._backoff
        ):  # forgotten, as after a success
            if before:
                manager._backoff[node.node_id] = before
            manager.update_backoff(node.node_id)

    return connected
