"""The names of topics: Kafka's rules, those of a service, and room for the suffixes."""

from __future__ import annotations

import pytest

from bridge.errors import Misconfigured
from bridge.kafka.topics import state_topic_of
from bridge.settings import load


@pytest.mark.parametrize("topic", ["job-transitions", "kbase.jobs", "job_transitions", "x" * 245])
def test_topics_have_the_names_of_kafka(topic: str) -> None:
    options = {"kafka.topic": topic, "jobs.profile": "ee2"}

    assert load(None, options, {}).kafka.topic == topic


def test_the_name_of_the_state_topic_fits() -> None:
    longest = {"kafka.topic": "x" * 236, "checkpoint.store": "kafka"}
    longer = {**longest, "kafka.topic": "x" * 237}

    assert len(state_topic_of(load(None, longest, {}).kafka.topic)) == 249
    with pytest.raises(Misconfigured, match="has 237 characters"):
        load(None, longer, {})
    # The background modes keep no position.
    background = {"delivery.mode": "background-transitions"}
    assert load(None, longer | background, {}).kafka.topic == "x" * 237


@pytest.mark.parametrize("topic", ["kbase.jobs", "job_transitions"])
def test_topics_of_cts_have_its_names(topic: str) -> None:
    with pytest.raises(Misconfigured, match="only letters, digits and - are accepted"):
        load(None, {"kafka.topic": topic}, {})
