"""How any of kafka-python's clients here reaches the brokers."""

import os
from collections.abc import Callable
from typing import Any

from kafka.net.compat import KafkaNetClient

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.kafka_python.patches import mend_connections
from bridge.kafka.tls import check_files
from bridge.settings import Settings


def connection(settings: Settings) -> dict[str, Any]:
    """The settings every client shares, in kafka-python's names.

    ``security_protocol`` was checked with the other settings: kafka-python itself takes a
    misspelt one for PLAINTEXT.
    """
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.servers(),
        "client_id": f"job-bridge-{os.getpid()}",
        "security_protocol": kafka.security_protocol,
        "bootstrap_timeout_ms": timeouts.milliseconds(timeouts.BOOTSTRAP_SECONDS),
        "request_timeout_ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "reconnect_backoff_max_ms": timeouts.milliseconds(timeouts.RECONNECT_SECONDS),
    }
    if kafka.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        check_files(kafka)
        options |= {
            name: getattr(kafka, name) or None
            for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
        }
        options["ssl_password"] = kafka.ssl_password.get_secret_value() or None
    return options


def latest_warning() -> LatestWarning:
    """What kafka-python warns of."""
    return LatestWarning("kafka", "ootstrap", "in the clear", less="Request timed out")


def made(
    factory: Callable[..., Any],
    kafka_client: Callable[..., KafkaNetClient] = KafkaNetClient,
    **options: Any,
) -> Any:
    """Make a client of kafka-python, and leave nothing behind when its constructor raises.

    The constructor connects; when no broker answers it raises and forgets its thread and sockets,
    which would pile up with each try while Kafka is away.
    """
    mend_connections()
    networks: list[KafkaNetClient] = []

    def network(**settings: Any) -> KafkaNetClient:
        networks.append(kafka_client(**settings))
        return networks[-1]

    try:
        return factory(kafka_client=network, **options)
    except BaseException:
        for one in networks:
            one.close()
            one._net.stop()
            one._net.close()
        raise
