"""The cause of a failed connection to Kafka, in its own words, with both drivers."""

from __future__ import annotations

import pytest

from bridge.errors import BridgeError, Misconfigured, NotPermitted, Retryable, Unreachable
from bridge.kafka.connection_failures import connection_failure, is_refusal

#: As kafka-python 3.0.12 and librdkafka 2.16 report them.
BOOTSTRAP = "KafkaTimeoutError: Unable to bootstrap from ['kafka-1:9092']"
METADATA = "_TRANSPORT: Failed to get metadata: Local: Broker transport failure"
VERIFY = "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
KERBEROS = "Major (458752): No credentials were supplied, Minor (2529639053): "
#: A line of librdkafka's log, which repeats its own address.
LINE = (
    f"{METADATA} (FAIL [job-bridge-7#producer-33] [thrd:kafka-1:9092/bootstrap]: "
    "kafka-1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused "
    "(after 3ms in state CONNECT, 1 identical error(s) suppressed))"
)
CASES: list[tuple[str, type[BridgeError], str, str]] = [
    (
        f"{BOOTSTRAP} (kafka-1:9092: KafkaConnectionError: 111 ECONNREFUSED)",
        Unreachable,
        "Kafka refuses connections at kafka-1:9092",
        "kafka.bootstrap_servers",
    ),
    (
        f"{METADATA} (_TRANSPORT: kafka-1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: "
        "Connection refused (after 0ms in state CONNECT))",
        Unreachable,
        "Kafka refuses connections at 10.0.0.1:9092",
        "kafka.bootstrap_servers",
    ),
    (
        f"{BOOTSTRAP} (kafka-7:9092: KafkaConnectionError: DNS Resolution failure)",
        Unreachable,
        "The host name of a broker cannot be resolved at kafka-7:9092",
        "advertised.listeners",
    ),
    (
        f"{METADATA} (_RESOLVE: kafka-7:9092/1: Failed to resolve 'kafka-7:9092': Name or service)",
        Unreachable,
        "The host name of a broker cannot be resolved at kafka-7:9092",
        "advertised.listeners",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: KafkaConnectionError: Connection timed out)",
        Unreachable,
        "Kafka does not answer at kafka-1:9092",
        "the network",
    ),
    (
        f"{METADATA} (_TRANSPORT: ssl://kafka-1:9092/bootstrap: Connection setup timed out in "
        "state SSL_HANDSHAKE)",
        Unreachable,
        "Kafka does not answer at kafka-1:9092",
        "the network",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: {VERIFY}certificate has expired)",
        Misconfigured,
        "Kafka's certificate expired",
        "Renew",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: {VERIFY}Hostname mismatch, certificate is not valid for 'k')",
        Misconfigured,
        "Kafka's certificate is for another host name",
        "advertised.listeners",
    ),
    (
        f"{METADATA} (_SSL: ssl://kafka-1:9092/bootstrap: SSL handshake failed: certificate verify "
        "failed: broker certificate could not be verified)",
        Misconfigured,
        "The broker's certificate is not trusted at kafka-1:9092",
        "kafka.ssl_cafile",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert "
        "certificate required)",
        Retryable,
        "Kafka refuses TLS with this client",
        "kafka.ssl_certfile",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: {KERBEROS}No Kerberos credentials available)",
        NotPermitted,
        "Kerberos does not let this process log in at kafka-1:9092",
        "klist",
    ),
    (
        f"{BOOTSTRAP} (kafka-1:9092: {KERBEROS}Cannot contact any KDC for realm 'TEST')",
        Unreachable,
        "No server of Kerberos answers at kafka-1:9092",
        "krb5.conf",
    ),
]


@pytest.mark.parametrize(("text", "error", "what", "todo"), CASES)
def test_a_cause_of_kafka_has_its_words(
    text: str, error: type[BridgeError], what: str, todo: str
) -> None:
    classified = connection_failure(text)
    warning = text.partition(" (")[2].partition(" (after")[0].removesuffix(")")

    assert type(classified) is error
    assert classified.what.startswith(what) and warning in classified.what
    assert todo in classified.todo and "Nothing is lost" in classified.data
    assert classified.part == "kafka"


def test_an_unknown_cause_keeps_its_text() -> None:
    assert type(connection_failure("CorruptRecordError: [Error 2]")) is Retryable
    assert type(connection_failure(BOOTSTRAP)) is Unreachable
    assert BOOTSTRAP in connection_failure(BOOTSTRAP).what


@pytest.mark.parametrize(
    ("warning", "refused"),
    [
        ("kafka-1:9092: [Error 58] SaslAuthenticationFailedError: Authentication failed", True),
        ("_AUTHENTICATION: sasl_ssl://kafka-1:9092/1: SASL authentication error: bad", True),
        (f"kafka-1:9092: {VERIFY}self-signed certificate", True),
        (f"kafka-1:9092: {KERBEROS}Ticket expired", True),
        (f"kafka-1:9092: {KERBEROS}Cannot contact any KDC for realm 'TEST'", False),
        ("kafka-1:9092: KafkaConnectionError: 111 ECONNREFUSED", False),
        ("kafka-alerts:9092: Connection timed out", False),
        ("", False),
    ],
)
def test_a_refusal_is_no_outage(warning: str, refused: bool) -> None:
    assert is_refusal(warning) is refused


@pytest.mark.parametrize("text", [text for text, *_ in CASES] + [LINE])
def test_a_cause_is_told_once(text: str) -> None:
    """The client's wrapper says only that there was no answer."""
    what = connection_failure(text).what

    assert not any(words in what for words in ("Failed to get", "Unable to", "(after", "thrd"))


def test_the_rest_of_the_text_stays() -> None:
    assert connection_failure(LINE).what == (
        "Kafka refuses connections at 10.0.0.1:9092: kafka-1:9092/bootstrap: "
        "Connect to ipv4#10.0.0.1:9092 failed: Connection refused"
    )
    unknown = f"{METADATA} (something else)"
    assert connection_failure(unknown).what.endswith(unknown)
