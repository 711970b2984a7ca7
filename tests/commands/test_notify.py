"""``notify`` and the small library behind it: acknowledged, or an error that names it."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

import pytest

import bridge
from bridge import Notifier, SendFailed
from bridge.demo.process import free_port, poll
from bridge.errors import Misconfigured, Retryable
from tests.commands.jobs import GOOD, Jobs, header, told, values
from tests.commands.running import SECRET, Settings, command
from tests.servers.kafka import Kafka

DRIVERS = ("kafka-python", "librdkafka")
NOW = datetime(2026, 3, 2, 20, 31, 2, 511_273, tzinfo=timezone.utc)


def test_the_latest_transition_is_sent_with_its_identity(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job = jobs.past(*GOOD)

    ended = command("notify", job["id"], settings=settings)

    assert ended.code == 0
    (record,) = kafka.read(topic)
    (value,) = values([record])
    assert (value["state"], value["trans_id"]) == ("complete", job["transition_times"][-1]["trans_id"])
    assert header(record, "ce_origin") == b"notify" and record.key == job["id"].encode()
    assert value["trans_id"] in ended.out


def test_a_state_is_that_of_the_last_time_the_job_came_to_it(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job = jobs.past("created", "running", "created", "complete")

    assert command("notify", job["id"], "--state", "created", settings=settings).code == 0

    assert values(kafka.read(topic))[0]["trans_id"] == job["transition_times"][2]["trans_id"]


def test_a_job_or_state_that_is_not_there_is_refused(settings: Settings, jobs: Jobs, kafka: Kafka, topic: str) -> None:
    job = jobs.past(*GOOD)

    nobody = command("notify", "nobody", settings=settings)
    never = command("notify", job["id"], "--state", "lost", settings=settings)

    assert nobody.code == never.code == 64
    assert "there is no job nobody" in nobody.complaint
    assert "has no transition to lost" in never.complaint and "complete" in never.complaint
    assert kafka.read(topic) == []


def test_without_an_acknowledgement_the_command_fails_and_names_it(settings: Settings, jobs: Jobs) -> None:
    job = jobs.past(*GOOD)

    ended = command("notify", job["id"], settings={**settings, "kafka.bootstrap_servers": f"127.0.0.1:{free_port()}"})

    assert ended.code == 75
    assert "Kafka is out of reach" in ended.complaint


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_library_returns_when_kafka_has_the_message(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, driver=driver, source="my-service") as notifier:
        for number, state in enumerate(GOOD):
            notifier.notify("job-1", state, NOW, f"t-{number}")
            assert told(kafka, topic, "job-1") == list(GOOD[: number + 1])

    record = kafka.read(topic)[0]
    assert record.value == b'{"job_id": "job-1", "state": "created", "time": "2026-03-02T20:31:02.511000+00:00", "trans_id": "t-0"}'
    assert header(record, "ce_source") == b"my-service" and header(record, "ce_origin") == b"notify"


def test_many_threads_may_notify_at_once(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, driver=driver) as notifier:

        def work(number: int) -> None:
            for state in GOOD:
                notifier.notify(f"job-{number}", state, NOW)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    assert all(told(kafka, topic, f"job-{number}") == list(GOOD) for number in range(8))


def test_a_broker_that_stops_answering_is_an_error_in_time_and_over_when_it_answers(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, driver=driver, timeout_seconds=2) as notifier:
        notifier.notify("job-1", "created", NOW)
        kafka.pause()
        try:
            began = time.monotonic()
            with pytest.raises(SendFailed, match=r"Job job-1, state running: .*within 2 s"):
                notifier.notify("job-1", "running", NOW)
            assert 2 <= time.monotonic() - began < 4
        finally:
            kafka.resume()
        poll(lambda: sent(notifier, "complete"), "a message after the outage", 60)

    assert told(kafka, topic, "job-1")[-1] == "complete"


def sent(notifier: Notifier, state: str) -> bool:
    try:
        notifier.notify("job-1", state, NOW)
    except SendFailed:
        return False
    return True


def test_fire_and_forget_returns_at_once_and_counts_what_is_lost(kafka: Kafka, topic: str, driver: str) -> None:
    kafka.pause()
    try:
        with Notifier(
            kafka.bootstrap, topic, mode="fire-and-forget", driver=driver, window_messages=50, timeout_seconds=0.1
        ) as notifier:
            began = time.monotonic()
            for number in range(200):
                notifier.notify(f"job-{number}", "created", NOW)
            assert time.monotonic() - began < 1
            assert notifier.lost == 150
    finally:
        kafka.resume()
    assert notifier.lost == 200


def test_fire_and_forget_delivers_when_all_is_well(kafka: Kafka, topic: str, driver: str) -> None:
    with Notifier(kafka.bootstrap, topic, mode="fire-and-forget", driver=driver) as notifier:
        for number in range(200):
            notifier.notify(f"job-{number % 7}", f"s{number}", NOW)

    assert notifier.lost == 0
    assert told(kafka, topic, "job-0") == [f"s{number}" for number in range(0, 200, 7)]


def test_entering_says_what_is_wrong(kafka: Kafka) -> None:
    with pytest.raises(Misconfigured, match="The topic nowhere does not exist"), Notifier(kafka.bootstrap, "nowhere"):
        pass
    with pytest.raises(Retryable, match="out of reach"), Notifier(f"127.0.0.1:{free_port()}"):
        pass


def test_bad_arguments_are_one_clear_line() -> None:
    with pytest.raises(Misconfigured, match="neither synchronous nor fire-and-forget"):
        Notifier(mode="sometimes")  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="Illegal character '_'") as raised:
        Notifier(topic="a_b", sasl_password=SECRET)
    assert SECRET not in str(raised.value)
    with pytest.raises(ValueError, match="has no zone"):
        Notifier().notify("job-1", "created", NOW.replace(tzinfo=None))


def test_the_package_gives_the_library_and_nothing_it_does_not_have() -> None:
    assert bridge.Notifier is Notifier
    with pytest.raises(AttributeError, match="nothing"):
        _ = bridge.nothing
