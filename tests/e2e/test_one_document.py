"""One document never stops the others: each input with the processes of an operator."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import MakeBridge
from tests.support.job_writer import GOOD, JobWriter, transition
from tests.support.messages import dead_letters, published_states
from tests.support.raw_documents import raw_update
from tests.support.servers.kafka import Kafka

POISON = 82


def test_each_dead_letter_is_sent_once(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    """One job with 150 transitions that cannot be sent, more than the limit, then a good job."""
    bridge = start(delivery__dead_letters_per_hour="100")
    with bridge:
        bridge.wait_ready()
        jobs.add(id="a", first=transition("created", time="noon"))
        odd: list[Any] = [transition(f"s{number}", time="noon") for number in range(150)]
        job_id = jobs.add(id="b")
        jobs.update(job_id, {"$push": {"transition_times": {"$each": odd}}})
        jobs.add(id="c", first=transition("created", time="noon"))
        good = jobs.add_good()
        ended = bridge.wait_for_end()
    assert ended.code == POISON
    assert "the next start continues with this event" in ended.error
    with start() as again:
        again.wait_acked(1 + len(GOOD))
        assert again.ready()

    letters = dead_letters(kafka, topic)
    assert len(letters) == 152
    assert len({(letter["job_id"], letter["state"]) for letter in letters}) == 152
    assert published_states(kafka, topic, good) == list(GOOD)


def test_names_that_are_not_utf8_stop_nothing(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add()
        change = raw_update(b"$set", [(b"transition_times.0.\xff\xfe", True)])
        jobs.collection.update_one({"id": job_id}, change)
        after = jobs.add_good()
        bridge.wait_for(lambda: published_states(kafka, topic, after) == list(GOOD), "the next job")
        bridge.wait_ready()
        assert bridge.stop() == 0
    # The server applies the stages also to the event of the stored token.
    with start() as bridge:
        last = jobs.add_good()
        bridge.wait_for(
            lambda: published_states(kafka, topic, last) == list(GOOD), "a job after a restart"
        )

    assert published_states(kafka, topic, job_id) == ["created"]


def test_a_history_with_5000_digits_is_dead_lettered(
    start: MakeBridge, jobs: JobWriter, kafka: Kafka, topic: str
) -> None:
    with start() as bridge:
        bridge.wait_ready()
        job_id = jobs.add(transition_times={})
        field = f"transition_times.{'9' * 5000}"
        jobs.update(job_id, {"$set": {field: transition("complete")}})
        after = jobs.add_good()
        bridge.wait_acked(2 + len(GOOD))
        assert bridge.ready()

    reasons = [letter["error_dlq"] for letter in dead_letters(kafka, topic)]
    assert ["not an array" in reason and "document _id" in reason for reason in reasons] == [
        True,
        True,
    ], "one for the insert, one for the update"
    assert published_states(kafka, topic, after) == list(GOOD)


def test_many_deletes_are_few_log_lines(start: MakeBridge, jobs: JobWriter) -> None:
    count = 3000
    jobs.collection.insert_many(
        [{"id": f"job-{number}", "transition_times": []} for number in range(count)]
    )
    with start() as bridge:
        bridge.wait_ready()
        jobs.collection.delete_many({})
        bridge.wait_for(
            lambda: (
                bridge.metrics().get('job_bridge_events_skipped_total{reason="delete"}') == count
            ),
            "all deletes",
        )
        lines = [line for line in bridge.messages() if "a job was deleted" in line]

    assert len(lines) < 100
    assert any("more in the same batch" in line for line in lines)
