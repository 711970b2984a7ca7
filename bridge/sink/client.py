"""How any Kafka client here reaches the brokers, and what it last said."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka.net.compat import KafkaNetClient

from bridge.config import Config
from bridge.errors import Misconfigured
from bridge.sink.transport import hear_last_answers

logger = logging.getLogger(__name__)

#: How long to look for a first broker, in milliseconds.
BOOTSTRAP_MS = 10_000
#: A request without an answer for so long closes the connection; the batch is sent again, once.
REQUEST_MS = 15_000


def connection(config: Config) -> dict[str, Any]:
    """The settings every client shares, in kafka-python's names.

    ``security_protocol`` was checked with the other settings: kafka-python itself takes a
    misspelt one for PLAINTEXT.
    """
    kafka = config.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.servers(),
        "client_id": f"job-bridge-{os.getpid()}",
        "security_protocol": kafka.security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "request_timeout_ms": REQUEST_MS,
        # After a long outage the first try must not be half a minute away.
        "reconnect_backoff_max_ms": 2_000,
    }
    if kafka.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        options |= {name: _file(name, getattr(kafka, name)) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
        options["ssl_password"] = kafka.ssl_password.get_secret_value() or None
    return options


def _file(name: str, path: str) -> str | None:
    """A file must be readable now: the client would only retry in silence."""
    if path and not os.access(Path(path), os.R_OK):
        raise Misconfigured(f"kafka.{name}: cannot read {path}", "Nothing was read or sent", "Check the path and its permissions")
    return path or None


def made(factory: Callable[..., Any], **options: Any) -> Any:
    """Make a client of kafka-python, and leave nothing behind when its constructor raises.

    The constructor connects; when no broker answers it raises and forgets its thread and sockets,
    which would pile up with each try while Kafka is away.
    """
    hear_last_answers()
    networks: list[KafkaNetClient] = []

    def network(**config: Any) -> KafkaNetClient:
        networks.append(KafkaNetClient(**config))
        return networks[-1]

    try:
        return factory(kafka_client=network, **options)
    except BaseException:
        for one in networks:
            one.close()
            one._net.stop()
            one._net.close()
        raise


class LastWords(logging.Handler):
    """Keeps what kafka-python last warned of: its exceptions do not carry the reason.

    While one is installed, the library's own lines go to this package's debug log only; its
    reconnection chatter would otherwise drown everything else.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._words = ""
        self._at = 0.0

    def install(self) -> "LastWords":
        library = logging.getLogger("kafka")
        library.handlers[:] = [self]
        library.propagate = False
        library.setLevel(logging.WARNING)
        return self

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())[:300]
        # The end of a story ("bootstrap failed") says less than what led to it.
        if "ootstrap" not in text:
            self._words, self._at = text, time.monotonic()
        logger.debug("%s: %s", record.name, text)

    def recent(self, seconds: float = 30.0) -> str:
        """What was said within the last ``seconds``, else nothing."""
        return self._words if time.monotonic() - self._at <= seconds else ""
