"""The id of a topic, with both drivers."""

from __future__ import annotations

from threading import Event

from bridge.kafka.drivers import driver_of
from tests.support.factories import settings
from tests.support.servers.kafka import Kafka
from tests.support.sinks_under_test import DRIVERS


def topic_ids(kafka: Kafka, topic: str) -> set[str]:
    """The id as each driver describes it, and as its sink knows it."""
    ids = set()
    for name in DRIVERS:
        config = settings(
            kafka__bootstrap_servers=kafka.bootstrap, kafka__topic=topic, kafka__driver=name
        )
        driver = driver_of(config)
        ids.add(driver.topics(config).describe(topic)[topic].topic_id)
        with driver.sink(config, None, Event()) as sink:
            ids.add(sink.topic_id)
    return ids


def test_both_drivers_report_the_same_id(kafka: Kafka, topic: str) -> None:
    (topic_id,) = topic_ids(kafka, topic)

    assert len(topic_id) == 32 and int(topic_id, 16)
    assert topic_ids(kafka, f"{topic}-dlq") != {topic_id}


def test_a_topic_made_again_has_another_id(kafka: Kafka, topic: str) -> None:
    (before,) = topic_ids(kafka, topic)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)

    (after,) = topic_ids(kafka, topic)
    assert after != before
