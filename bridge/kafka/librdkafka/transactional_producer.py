"""A producer of librdkafka under a transactional id."""

from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import Producer

from bridge.kafka.client_log import LatestWarning
from bridge.kafka.topics import Topic
from bridge.settings import Settings


class TransactionalProducer:
    """A producer under a transactional id, for one ownership; after any failure it is discarded."""

    client: Producer
    failed: bool
    in_transaction: bool

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, Topic],
        transactional_id: str,
        latest_warning: LatestWarning,
    ) -> None:
        self.failed = False
        self.in_transaction = False

    def open(self) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        raise NotImplementedError

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        raise NotImplementedError

    def commit(self) -> Future[None]:
        raise NotImplementedError

    def discard(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
