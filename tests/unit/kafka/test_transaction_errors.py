"""The bridge's errors for errors of a transaction."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.kafka.librdkafka.errors import classify_transaction
from bridge.kafka.transactional_ids import transactional_ids

ENDED = (
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_TXN_STATE,
    KafkaError._FATAL,
    KafkaError._STATE,
)


@pytest.mark.parametrize("code", ENDED)
def test_an_ended_transaction_is_retried(code: int) -> None:
    """Kafka's answer does not show whether another process owns the id."""
    error = classify_transaction(KafkaException(KafkaError(code)), "job-bridge-jobs")

    assert type(error) is Retryable
    assert "timed out, or another process uses its transactional id" in error.what


def test_a_refused_transactional_id_is_named() -> None:
    error = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)

    verdict = classify_transaction(KafkaException(error), "job-bridge-jobs")

    assert isinstance(verdict, NotPermitted)
    assert "job-bridge-jobs" in verdict.what and "job-bridge-jobs" in verdict.todo


def test_a_short_limit_is_not_retried() -> None:
    error = KafkaError(KafkaError.INVALID_TRANSACTION_TIMEOUT)

    verdict = classify_transaction(KafkaException(error), "job-bridge-jobs")

    assert isinstance(verdict, Misconfigured)
    assert verdict.todo == "Set transaction.max.timeout.ms to at least 15000"


def test_the_warning_can_contain_the_refusal() -> None:
    """The producer itself answers with its state only."""
    warning = "Failed to add partition jobs [0] to transaction: TOPIC_AUTHORIZATION_FAILED"

    verdict = classify_transaction(KafkaError(KafkaError._STATE), "job-bridge-jobs", warning)

    assert isinstance(verdict, NotPermitted)
    assert "jobs [0]" in verdict.what


def test_other_errors_keep_their_verdict() -> None:
    error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)

    verdict = classify_transaction(error, "job-bridge-jobs")

    assert "size limit was lowered" in verdict.what


def test_the_ids_share_a_prefix() -> None:
    first, second = transactional_ids("job-bridge-jobs")

    assert first == "job-bridge-jobs"
    assert second != first and second.startswith(first)
