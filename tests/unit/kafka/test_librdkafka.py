"""How the bridge asks librdkafka for the topics."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.kafka import timeouts
from bridge.kafka.librdkafka.client import latest_warning, metadata

FOUND = SimpleNamespace(brokers={1: "one"})


class Client:
    """One whose cluster answers after so many seconds; what comes after it was given up is thrown away."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waited: list[float] = []

    def list_topics(self, timeout: float) -> Any:
        self.waited.append(timeout)
        if timeout < self._seconds:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return FOUND

    def poll(self, timeout: float) -> None:
        pass


@pytest.mark.parametrize("seconds", [0.1, 0.7, 3.0])
def test_a_cluster_that_takes_its_time_is_given_it(seconds: float) -> None:
    client: Any = Client(seconds)

    assert metadata(client, latest_warning()) is FOUND
    assert sum(client.waited) < timeouts.BOOTSTRAP_SECONDS + 1


def test_a_first_look_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is known then."""
    client: Any = Client(99.0)
    words = latest_warning()
    words.note("_AUTHENTICATION: SASL authentication error")

    with pytest.raises(KafkaException):
        metadata(client, words)

    assert len(client.waited) == 1 and client.waited[0] <= 1
