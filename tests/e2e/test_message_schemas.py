"""Real messages and dead letters match the published schemas."""

from __future__ import annotations

from datetime import datetime, timezone

from bridge import Notifier
from tests.e2e.conftest import MakeBridge
from tests.support.command import GivenSettings, run_command
from tests.support.job_writer import GOOD, JobWriter, transition
from tests.support.messages import header
from tests.support.schemas import record_problems
from tests.support.servers.kafka import Kafka


def test_real_records_match_the_schemas(
    start: MakeBridge, jobs: JobWriter, settings: GivenSettings, kafka: Kafka, topic: str
) -> None:
    """From the stream, a replay, a command and the library; five dead letters for five reasons."""
    with start() as bridge:
        bridge.wait_ready()
        good = jobs.add_good()
        whole_second = transition("created", time=datetime(2026, 3, 2, tzinfo=timezone.utc))
        jobs.add(first=whole_second)
        jobs.add(first=transition("created", trans_id=None))
        jobs.add(first=transition("ä\u2028\0"))
        jobs.add(id=None)
        jobs.add(first=transition(7), state=7)
        jobs.add(first=transition("created", time=None))
        jobs.add(first=transition("created", time="yesterday"))
        jobs.move(good, "x" * 2_000_000, 5)
        bridge.wait_acked(len(GOOD) + 3 + 5)
        assert bridge.stop() == 0
    for command in (["replay", "--job", good], ["notify", good]):
        assert run_command(*command, settings=settings).code in (75, 82)
    with Notifier(kafka.bootstrap, topic) as notifier:
        notifier.notify("job-1", "created", datetime.now(timezone.utc))

    messages, letters = kafka.read(topic), kafka.read(f"{topic}-dlq")
    origins = {header(record, "ce_origin") for record in messages}
    assert origins >= {b"stream", b"replay", b"notify"}
    assert len(letters) >= 5
    assert [record_problems("message", record) for record in messages if record.value] == [
        [] for _ in messages
    ]
    assert [record_problems("dead-letter", record) for record in letters] == [[] for _ in letters]
