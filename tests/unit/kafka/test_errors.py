"""The error tables of both Kafka clients."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException
from kafka import errors as kafka

from bridge.errors import (
    BridgeError,
    Misconfigured,
    NotPermitted,
    PoisonEvent,
    Retryable,
    Unreachable,
)
from bridge.kafka.errors import LOGIN_FAILED
from bridge.kafka.kafka_python.errors import classify
from bridge.kafka.librdkafka.errors import classify as classify_librdkafka

CASES: list[tuple[type[BridgeError], tuple[type[BaseException], ...]]] = [
    (
        NotPermitted,
        (
            kafka.TopicAuthorizationFailedError,
            kafka.ClusterAuthorizationFailedError,
            kafka.GroupAuthorizationFailedError,
            kafka.TransactionalIdAuthorizationFailedError,
            kafka.SaslAuthenticationFailedError,
            kafka.UnsupportedSaslMechanismError,
            kafka.IllegalSaslStateError,
        ),
    ),
    (Misconfigured, (kafka.UnsupportedCodecError,)),
    (PoisonEvent, (kafka.InvalidRecordError, kafka.PolicyViolationError)),
    (
        Retryable,
        (
            kafka.KafkaTimeoutError,
            kafka.KafkaConnectionError,
            kafka.NotLeaderForPartitionError,
            kafka.NotEnoughReplicasError,
            kafka.NotEnoughReplicasAfterAppendError,
            kafka.RequestTimedOutError,
            kafka.UnknownTopicOrPartitionError,
            kafka.OutOfOrderSequenceNumberError,
            kafka.UnknownProducerIdError,
            kafka.InvalidProducerEpochError,
            kafka.KafkaStorageError,
            kafka.CorruptRecordError,
            kafka.UnknownError,
            kafka.InvalidTimestampError,
            kafka.MessageSizeTooLargeError,
            kafka.RecordListTooLargeError,
            kafka.IllegalStateError,
            kafka.KafkaError,
            AssertionError,
        ),
    ),
]


@pytest.mark.parametrize(
    ("verdict", "error"), [(verdict, error) for verdict, errors in CASES for error in errors]
)
def test_each_error_of_kafka_python_has_its_verdict(
    verdict: type[BridgeError], error: type[BaseException]
) -> None:
    classified = classify(error("the broker says"))

    assert type(classified) is verdict
    assert "the broker says" in classified.what and classified.data


@pytest.mark.parametrize(
    ("warning", "verdict"),
    [
        ("SaslAuthenticationFailedError: bad password", NotPermitted),
        # The next client fetches a token before it connects, and that failure has its own verdict.
        (f"SaslAuthenticationFailedError: {LOGIN_FAILED}: timed out", Retryable),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", Misconfigured),
        ("Hostname mismatch, certificate is not valid", Misconfigured),
        ("127.0.0.1:1: KafkaConnectionError: 111 ECONNREFUSED", Unreachable),
        ("", Unreachable),
    ],
)
def test_the_latest_warning_contains_the_cause(warning: str, verdict: type[BridgeError]) -> None:
    classified = classify(kafka.KafkaTimeoutError("Unable to bootstrap"), warning)

    assert type(classified) is verdict
    assert warning in classified.what


def test_a_long_error_is_cut_to_a_line() -> None:
    classified = classify(kafka.KafkaError("x\n" * 5000))

    assert "\n" not in str(classified)
    assert len(str(classified)) < 700


def test_failures_belong_to_the_part_kafka() -> None:
    assert classify(kafka.KafkaConnectionError("x")).part == "kafka"
    assert classify(kafka.TopicAuthorizationFailedError("x")).part == "kafka"


LIBRDKAFKA: list[tuple[type[BridgeError], tuple[int, ...]]] = [
    (
        NotPermitted,
        (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            KafkaError.SASL_AUTHENTICATION_FAILED,
            KafkaError.UNSUPPORTED_SASL_MECHANISM,
            KafkaError.ILLEGAL_SASL_STATE,
            KafkaError._AUTHENTICATION,
        ),
    ),
    (PoisonEvent, (KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION)),
    (
        Retryable,
        (
            KafkaError._TIMED_OUT,
            KafkaError._MSG_TIMED_OUT,
            KafkaError._QUEUE_FULL,
            KafkaError._PURGE_QUEUE,
            KafkaError._PURGE_INFLIGHT,
            KafkaError._FATAL,
            KafkaError._GAPLESS_GUARANTEE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.NOT_ENOUGH_REPLICAS,
            KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            KafkaError.REQUEST_TIMED_OUT,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
            KafkaError.UNKNOWN_PRODUCER_ID,
            KafkaError.INVALID_PRODUCER_EPOCH,
            KafkaError.KAFKA_STORAGE_ERROR,
            KafkaError.INVALID_TIMESTAMP,
            KafkaError.MSG_SIZE_TOO_LARGE,
            KafkaError.RECORD_LIST_TOO_LARGE,
            KafkaError.UNKNOWN,
        ),
    ),
    (Unreachable, (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)),
]


@pytest.mark.parametrize(
    ("verdict", "code"), [(verdict, code) for verdict, codes in LIBRDKAFKA for code in codes]
)
def test_each_code_of_librdkafka_has_its_verdict(verdict: type[BridgeError], code: int) -> None:
    for error in (
        KafkaError(code, "the broker says"),
        KafkaException(KafkaError(code, "the broker says")),
    ):
        classified = classify_librdkafka(error)

        assert type(classified) is verdict
        assert "the broker says" in classified.what and classified.data


@pytest.mark.parametrize(
    ("warning", "verdict"),
    [
        (
            "_AUTHENTICATION: sasl_plaintext://host:9092/bootstrap: "
            "SASL authentication error: Authentication failed",
            NotPermitted,
        ),
        ("SASL SCRAM-SHA-256 mechanism not supported by broker", NotPermitted),
        (f"_AUTHENTICATION: {LOGIN_FAILED}: Could not resolve host", Retryable),
        (
            "SSL handshake failed: certificate verify failed: "
            "broker certificate could not be verified",
            Misconfigured,
        ),
        ("Connect to ipv4#127.0.0.1:1 failed: Connection refused", Unreachable),
        ("", Retryable),
    ],
)
def test_the_latest_warning_of_librdkafka_contains_the_cause(
    warning: str, verdict: type[BridgeError]
) -> None:
    classified = classify_librdkafka(KafkaError(KafkaError._TIMED_OUT, "Local: Timed out"), warning)

    assert type(classified) is verdict
    assert warning in classified.what


def test_a_full_buffer_is_retryable() -> None:
    assert type(classify_librdkafka(BufferError("Local: Queue full"))) is Retryable
