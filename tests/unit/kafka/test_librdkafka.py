"""How the bridge requests the metadata with librdkafka."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.kafka import timeouts
from bridge.kafka.librdkafka.client import make_latest_warning, request_metadata

METADATA = SimpleNamespace(brokers={1: "one"})


class SlowClient:
    """A client whose cluster answers after ``seconds``; a shorter request fails."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.timeouts: list[float] = []

    def list_topics(self, timeout: float) -> Any:
        self.timeouts.append(timeout)
        if timeout < self._seconds:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return METADATA

    def poll(self, timeout: float) -> None:
        pass


@pytest.mark.parametrize("seconds", [0.1, 0.7, 3.0])
def test_a_slow_cluster_gets_more_time(seconds: float) -> None:
    client: Any = SlowClient(seconds)

    assert request_metadata(client, make_latest_warning()) is METADATA
    assert sum(client.timeouts) < timeouts.BOOTSTRAP_SECONDS + 1


def test_a_wrong_password_is_noticed_soon() -> None:
    client: Any = SlowClient(99.0)
    latest_warning = make_latest_warning()
    latest_warning.note("_AUTHENTICATION: SASL authentication error")

    with pytest.raises(KafkaException):
        request_metadata(client, latest_warning)

    assert len(client.timeouts) == 1 and client.timeouts[0] <= 1
