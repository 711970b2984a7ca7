"""Connects librdkafka's clients to the brokers."""

import logging
import os
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from bridge.kafka import timeouts
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.errors import is_lasting
from bridge.kafka.tls import check_files
from bridge.kafka.tokens import token_source
from bridge.settings import Settings
from bridge.settings.kafka import KafkaSettings

#: The first wait for an answer; it doubles, so that a wrong password is noticed soon.
_FIRST_WAIT_SECONDS = 0.5
_POLL_SECONDS = 0.1
#: How long a broker waits for a record at the end of a partition before it reports the end.
_FETCH_WAIT_MS = 10


class ClientLogger(logging.Logger):
    """A logger for librdkafka's lines, which would go to standard error otherwise.

    It is not registered: the process cannot look it up, and its lines reach no other handler.
    """

    def __init__(self, latest_warning: LatestWarning) -> None:
        super().__init__("librdkafka", logging.WARNING)
        self._latest_warning = latest_warning

    def handle(self, record: logging.LogRecord) -> None:
        self._latest_warning.note(record.getMessage())


def make_latest_warning() -> LatestWarning:
    """Make a memory for warnings that matter.

    Ignored are those about settings that the bridge chose deliberately (``CONFWARN``), and the
    error that all brokers are down, which does not contain the cause.
    """
    return LatestWarning("ALL_BROKERS_DOWN", "CONFWARN")


def connection(settings: Settings, latest_warning: LatestWarning) -> dict[str, Any]:
    """Return the options that all clients share, by librdkafka's names.

    Secrets are read again from their files, so a new client uses a password that was rotated.
    """
    kafka = settings.with_present_secrets().kafka
    options: dict[str, Any] = {
        **kafka.librdkafka_options(),
        "bootstrap.servers": ",".join(kafka.servers()),
        "client.id": f"job-bridge-{os.getpid()}",
        "security.protocol": kafka.security_protocol,
        "socket.timeout.ms": timeouts.milliseconds(timeouts.REQUEST_SECONDS),
        "socket.connection.setup.timeout.ms": timeouts.milliseconds(timeouts.CONNECT_SECONDS),
        "reconnect.backoff.max.ms": timeouts.milliseconds(timeouts.RECONNECT_SECONDS),
        "topic.metadata.refresh.interval.ms": timeouts.milliseconds(timeouts.METADATA_SECONDS),
        # The broker may create a topic that a client asks for; a producer asks again and again.
        "allow.auto.create.topics": False,
        "error_cb": lambda error: latest_warning.note(f"{error.name()}: {error.str()}"),
    }
    if kafka.uses_sasl:
        options |= _login(kafka)
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


def _login(kafka: KafkaSettings) -> dict[str, Any]:
    if kafka.uses_tokens:
        token_source(kafka).token()  # Raises the bridge's errors.
        options = {
            "sasl.mechanism": kafka.sasl_mechanism,
            # librdkafka fetches and renews tokens on a thread of its own.
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": kafka.sasl_username,
            "sasl.oauthbearer.client.secret": kafka.sasl_password.get_secret_value(),
            "sasl.oauthbearer.token.endpoint.url": kafka.sasl_oauth_token_url,
            "sasl.oauthbearer.scope": kafka.sasl_oauth_scope,
            # "probe": in the places of all distributions. The default is that of one of them.
            "https.ca.location": kafka.sasl_oauth_cafile or "probe",
        }
        return {name: value for name, value in options.items() if value}
    if kafka.uses_kerberos:
        return {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.kerberos.service.name": kafka.sasl_kerberos_service_name,
        }
    return {
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": kafka.sasl_password.get_secret_value(),
    }


def reading_options(group: str) -> dict[str, Any]:
    """Return the options of a consumer that reads assigned partitions up to their end.

    Args:
        group: The client looks it up. It is never joined, and no offset is stored.
    """
    return {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        # An offset that the topic does not have any more starts at the oldest record.
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": _FETCH_WAIT_MS,
    }


def request_metadata(client: AdminClient, latest_warning: LatestWarning) -> Any:
    """Return the metadata of all topics and brokers as soon as a broker answers.

    librdkafka retries and reports a timeout whatever the cause; the latest warning shows whether
    waiting is useless. All topics are requested: a request for a missing topic may create it.

    Raises:
        KafkaException: No broker answered in time, or waiting is useless.
    """
    deadline = time.monotonic() + timeouts.BOOTSTRAP_SECONDS
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return _list_topics(client, min(wait, max(_POLL_SECONDS, deadline - time.monotonic())))
        except KafkaException:
            client.poll(_POLL_SECONDS)
            if time.monotonic() >= deadline or is_lasting(latest_warning.recent()):
                raise
        wait *= 2


def _list_topics(client: AdminClient, seconds: float) -> Any:
    metadata = client.list_topics(timeout=seconds)
    if not metadata.brokers:
        # A broker without its controller, for example after a pause, answers like this. Other
        # requests to it would only time out.
        raise KafkaException(
            KafkaError(
                KafkaError.BROKER_NOT_AVAILABLE, "the broker reports that no broker is available"
            )
        )
    return metadata
