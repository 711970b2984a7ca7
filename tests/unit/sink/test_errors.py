"""The table of Kafka's errors."""

from __future__ import annotations

import pytest
from kafka import errors as kafka

from bridge.errors import BridgeError, Misconfigured, NotPermitted, PoisonEvent, Retryable
from bridge.sink.errors import classify

CASES: list[tuple[type[BridgeError], tuple[type[BaseException], ...]]] = [
    (
        NotPermitted,
        (
            kafka.TopicAuthorizationFailedError, kafka.ClusterAuthorizationFailedError,
            kafka.GroupAuthorizationFailedError, kafka.TransactionalIdAuthorizationFailedError,
            kafka.SaslAuthenticationFailedError, kafka.UnsupportedSaslMechanismError, kafka.IllegalSaslStateError,
        ),
    ),
    (PoisonEvent, (kafka.InvalidRecordError, kafka.PolicyViolationError, kafka.InvalidTimestampError)),
    (
        Retryable,
        (
            kafka.KafkaTimeoutError, kafka.KafkaConnectionError, kafka.NotLeaderForPartitionError,
            kafka.NotEnoughReplicasError, kafka.NotEnoughReplicasAfterAppendError, kafka.RequestTimedOutError,
            kafka.UnknownTopicOrPartitionError, kafka.OutOfOrderSequenceNumberError, kafka.UnknownProducerIdError,
            kafka.InvalidProducerEpochError, kafka.KafkaStorageError, kafka.CorruptRecordError, kafka.UnknownError,
            kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError, kafka.IllegalStateError, kafka.KafkaError,
            AssertionError,
        ),
    ),
]


@pytest.mark.parametrize(("verdict", "error"), [(verdict, error) for verdict, errors in CASES for error in errors])
def test_each_error_has_its_verdict(verdict: type[BridgeError], error: type[BaseException]) -> None:
    found = classify(error("the broker says"))

    assert type(found) is verdict
    assert "the broker says" in found.what and found.data


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("SaslAuthenticationFailedError: bad password", NotPermitted),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", Misconfigured),
        ("Hostname mismatch, certificate is not valid", Misconfigured),
        ("connection refused", Retryable),
        ("", Retryable),
    ],
)
def test_what_the_client_logged_tells_why_it_could_not_connect(words: str, verdict: type[BridgeError]) -> None:
    found = classify(kafka.KafkaTimeoutError("Unable to bootstrap"), words)

    assert type(found) is verdict
    assert words in found.what


def test_a_long_error_is_cut_and_on_one_line() -> None:
    found = classify(kafka.KafkaError("x\n" * 5000))

    assert "\n" not in str(found)
    assert len(str(found)) < 700


def test_failures_of_kafka_are_counted_as_such() -> None:
    assert classify(kafka.KafkaConnectionError("x")).part == "kafka"
    assert classify(kafka.TopicAuthorizationFailedError("x")).part == "kafka"
