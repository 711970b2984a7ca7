"""How any of librdkafka's clients here reaches the brokers."""

import logging
import os
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.errors import hopeless
from bridge.kafka.tls import check_files
from bridge.settings import Settings

#: The logger librdkafka's own lines go to; they would end on standard error otherwise.
LOGGER = "librdkafka"
#: How long to wait for the first answer, and then twice as long each time: a wrong password is found soon, a large cluster too.
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.1


def connection(settings: Settings, words: LatestWarning) -> dict[str, Any]:
    """The settings every client shares, in librdkafka's names; its complaints go to ``words``."""
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(kafka.servers()),
        "client.id": f"job-bridge-{os.getpid()}",
        "security.protocol": kafka.security_protocol,
        "socket.timeout.ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "socket.connection.setup.timeout.ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "reconnect.backoff.max.ms": timeouts.milliseconds(timeouts.RECONNECT_SECONDS),
        "topic.metadata.refresh.interval.ms": timeouts.milliseconds(timeouts.METADATA_SECONDS),
        "error_cb": lambda error: words.note(f"{error.name()}: {error.str()}"),
    }
    if kafka.security_protocol.startswith("SASL"):
        options |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        check_files(kafka)
        files = {
            "ssl.ca.location": kafka.ssl_cafile,
            "ssl.certificate.location": kafka.ssl_certfile,
            "ssl.key.location": kafka.ssl_keyfile,
            "ssl.key.password": kafka.ssl_password.get_secret_value(),
        }
        options |= {name: value for name, value in files.items() if value}
    return options


def latest_warning() -> LatestWarning:
    """What librdkafka complains of."""
    logging.getLogger(LOGGER).addFilter(_is_complaint)
    return LatestWarning(LOGGER, "ALL_BROKERS_DOWN")


def _is_complaint(record: logging.LogRecord) -> bool:
    """Whether it is none of a setting that is chosen on purpose: a service that sends by :class:`bridge.Notifier` could do nothing about it."""
    return "CONFWARN" not in record.getMessage()


def metadata(client: AdminClient, words: LatestWarning) -> Any:
    """All topics and brokers, as soon as one broker answers. Raises ``KafkaException`` when none does in time.

    librdkafka tries for ever and answers "timed out" whatever the reason: what it complained of
    meanwhile tells when waiting is useless. All topics are asked for, never a named one: naming it
    may create it.

    A broker that lost touch with its controller, as after a pause, answers that there is no broker:
    until it is back, every other request would only run into its time limit.
    """
    deadline, patience = time.monotonic() + timeouts.BOOTSTRAP_SECONDS, _LOOK_SECONDS
    while True:
        try:
            return _look(client, min(patience, max(_PAUSE_SECONDS, deadline - time.monotonic())))
        except KafkaException:
            client.poll(_PAUSE_SECONDS)
            if time.monotonic() >= deadline or hopeless(words.recent()):
                raise
        patience *= 2


def _look(client: AdminClient, seconds: float) -> Any:
    found = client.list_topics(timeout=seconds)
    if not found.brokers:
        raise KafkaException(
            KafkaError(
                KafkaError.BROKER_NOT_AVAILABLE, "the broker that answers knows of none that is up"
            )
        )
    return found
