"""A consumer of job-bridge's messages: keeps the latest state of each job in SQLite.

Usage: python job_states.py BOOTSTRAP_SERVERS TOPIC DATABASE_FILE
"""

import json
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

from kafka import KafkaConsumer, KafkaProducer

GROUP = "job-states"
MAX_REQUEST_BYTES = 100 * 1024 * 1024
TABLES = """
    CREATE TABLE IF NOT EXISTS processed (trans_id TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, sequence INT, state TEXT, messages INT);
"""
#: The exceptions that reading a value or header of another program may raise.
UNUSABLE = (KeyError, OverflowError, RecursionError, TypeError, ValueError)
KEEP_LATEST = """
    INSERT INTO job VALUES (:job_id, :sequence, :state, 1)
    ON CONFLICT (id) DO UPDATE SET
        messages = messages + 1,
        state = iif(excluded.sequence >= sequence, excluded.state, state),
        sequence = max(excluded.sequence, sequence)
"""


class Transition(NamedTuple):
    job_id: str
    state: str
    trans_id: str
    sequence: int


def parse(record: Any) -> Transition:
    """Return the transition of a record; raises ``ValueError`` if it is not a bridge's message."""
    try:
        value = json.loads(record.value)
        headers = dict(record.headers)
        if "ce_sequence" in headers:
            sequence = int(headers["ce_sequence"])
        else:  # kafka.headers = none, or jobs without history: times may be equal
            sequence = int(datetime.fromisoformat(value["time"]).timestamp() * 1000) * 1000
        if abs(sequence) >= 2**63:
            raise ValueError("ce_sequence is out of range")  # SQLite could not store it
        texts = [value[name] for name in ("job_id", "state", "trans_id")]
        for text in texts:
            str.encode(text)  # JSON may contain half a surrogate pair; SQLite stores UTF-8
    except UNUSABLE as error:
        raise ValueError(f"not a transition: {error!r:.200}") from error
    job_id, state, trans_id = texts
    return Transition(job_id, state, trans_id, sequence)


def process(database: sqlite3.Connection, transition: Transition) -> bool:
    """Apply a transition once; return False if it is a duplicate."""
    with database:  # one transaction: after a crash both tables contain it, or neither
        insert = "INSERT OR IGNORE INTO processed VALUES (?)"
        if not database.execute(insert, (transition.trans_id,)).rowcount:
            return False
        database.execute(KEEP_LATEST, transition._asdict())
    return True


def dead_letter(producer: KafkaProducer, record: Any, reason: str) -> None:
    """Send an unusable record to this consumer's own topic, and wait until Kafka has it."""
    origin = f"{record.topic} {record.partition}:{record.offset}"
    producer.send(
        f"{record.topic}-{GROUP}-dlq",
        key=record.key,
        value=record.value,
        headers=[("reason", reason.encode()), ("origin", origin.encode())],
    ).get(timeout=30)


def run(consumer: KafkaConsumer, producer: KafkaProducer, database: sqlite3.Connection) -> None:
    """Process records until the process ends; offsets are committed after their effects."""
    while True:
        batches = consumer.poll(timeout_ms=1000)
        for record in (record for records in batches.values() for record in records):
            try:
                transition = parse(record)
            except ValueError as error:
                dead_letter(producer, record, str(error))
            else:
                process(database, transition)
        if batches:
            consumer.commit()


def main(bootstrap_servers: str, topic: str, file: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=GROUP,
        session_timeout_ms=10_000,  # after a crash Kafka keeps the partitions this long
        auto_offset_reset="earliest",  # a new group starts at the first message
        enable_auto_commit=False,  # run() commits after the effects
        isolation_level="read_committed",  # for exactly-once; harmless in the other modes
    )
    producer = KafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        max_request_size=MAX_REQUEST_BYTES,  # a dead letter is larger than its record
    )
    with closing(consumer), closing(producer), closing(sqlite3.connect(file)) as database:
        database.executescript(TABLES)
        run(consumer, producer, database)


if __name__ == "__main__":
    main(*sys.argv[1:])
