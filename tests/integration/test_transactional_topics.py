"""A topic with control markers, aborted records and an open transaction at its end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kafka import TopicPartition

from bridge.errors import Retryable
from bridge.kafka.drivers import driver_of
from bridge.model.job_history import JobHistory
from bridge.verification.comparison import Findings, Verification
from bridge.verification.database import TransitionDatabase
from tests.support.comparison_scenario import MARGIN, SPAN, FakeJobs, happened
from tests.support.servers.kafka import Kafka
from tests.support.transactional_topic import TransactionalTopic

FIRST, SECOND, THIRD, FOURTH = (happened(number, 100.0 + number) for number in range(4))
ALL = (FIRST, SECOND, THIRD, FOURTH)


@pytest.fixture
def transactions(kafka: Kafka, topic: str) -> Iterator[TransactionalTopic]:
    """The first transition committed, the second aborted twice and then committed.

    Offsets: the first message 0 and its marker 1, aborted messages 2, 3 and 5 with the markers 4
    and 6, the second message 7 and its marker 8.
    """
    with TransactionalTopic(kafka, topic) as written:
        written.commit(FIRST)
        written.abort(SECOND, SECOND)
        written.abort(SECOND)
        written.commit(SECOND)
        yield written


def compared(transactions: TransactionalTopic) -> Findings:
    """Compare the topic with four jobs of a transition each."""
    with TransitionDatabase() as database, transactions.reader() as reader:
        verification = Verification(database, SPAN, margin=MARGIN, by_state=False)
        jobs = FakeJobs([JobHistory(transition.job_id, [transition]) for transition in ALL])
        return verification.run(jobs, reader, transactions.topic, f"{transactions.topic}-dlq")


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.kafka.timeouts.SILENT_TOPIC_SECONDS", 1.0)


def test_only_committed_records_are_read(transactions: TransactionalTopic) -> None:
    """A marker at the end is not awaited."""
    started = time.monotonic()

    records = transactions.records()

    assert [(record.offset, record.key) for record in records] == [
        (0, FIRST.job_id.encode()),
        (7, SECOND.job_id.encode()),
    ]
    assert time.monotonic() - started < 10


def test_the_count_is_an_upper_bound(transactions: TransactionalTopic) -> None:
    """Offsets count markers and aborted records."""
    with transactions.reader() as reader:
        assert reader.count(transactions.topic, None) == 9
        transactions.open(THIRD)
        assert reader.count(transactions.topic, None) == 9
        assert reader.count(transactions.topic, time.time() + 60) == 0


def test_reading_starts_between_transactions(transactions: TransactionalTopic) -> None:
    records = transactions.records()
    since = records[1].timestamp

    with transactions.reader() as reader:
        later = [record for batch in reader.read(transactions.topic, since) for record in batch]

    assert later == records[1:]


def test_aborted_records_are_not_duplicates(transactions: TransactionalTopic) -> None:
    transactions.commit(THIRD)
    transactions.abort(FOURTH)

    findings = compared(transactions)

    assert {kind: count for kind, count in findings.counts.items() if count} == {
        "transitions": 4,
        "messages": 3,
        "missing": 1,
    }
    (missing,) = findings.examples["missing"]
    assert FOURTH.trans_id in missing


def test_a_duplicate_in_two_transactions_counts(transactions: TransactionalTopic) -> None:
    transactions.commit(FIRST, THIRD, FOURTH)

    findings = compared(transactions)

    assert findings.clean
    assert (findings.counts["messages"], findings.counts["repeated"]) == (5, 1)
    (duplicate,) = findings.examples["repeated"]
    assert FIRST.trans_id in duplicate


def test_an_open_transaction_is_not_judged(
    transactions: TransactionalTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its messages may become visible, so that they are neither there nor missing."""
    impatient(monkeypatch)
    transactions.commit(THIRD)
    transactions.open(FOURTH)

    with pytest.raises(Retryable, match=r"transaction is open .* Kafka withholds 1 record"):
        compared(transactions)
    transactions.commit()

    findings = compared(transactions)
    assert findings.clean and findings.counts["repeated"] == 0


@pytest.mark.parametrize("kept", [1, 2, 4, 6])
def test_a_removed_beginning_is_dated_by_a_message(
    transactions: TransactionalTopic, kafka: Kafka, kept: int
) -> None:
    """The kept part starts with a marker, or with an aborted record."""
    second = transactions.records()[1]
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(transactions.topic, 0): kept})

    with transactions.reader() as reader:
        assert reader.kept_since(transactions.topic) == second.timestamp


def test_a_rest_without_messages_has_no_date(
    transactions: TransactionalTopic, kafka: Kafka
) -> None:
    transactions.open(THIRD)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(transactions.topic, 0): 8})

    with transactions.reader() as reader:
        assert reader.kept_since(transactions.topic, 123.0) == 123.0


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_the_latest_records_may_be_markers(transactions: TransactionalTopic, driver: str) -> None:
    """A first start looks for messages of this bridge there."""
    config = transactions.settings
    config = config.model_copy(update={"kafka": config.kafka.model_copy(update={"driver": driver})})
    with driver_of(config).tail_reader(config) as reader:
        latest = reader.latest(transactions.topic, 3)

    assert [record.offset for record in latest] == [7]
