"""The part of a Kafka sink that both drivers share."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from bridge.errors import BridgeError
from bridge.kafka.client_log import LatestWarning
from bridge.kafka.connection_failures import is_refusal
from bridge.kafka.errors import discarded_producer_error
from bridge.kafka.topics import Topic
from bridge.model.window import Delivery, Sending
from bridge.settings import Settings


class KafkaSink(ABC):
    """A producer for one session; a context manager. See :class:`bridge.pipeline.ports.Sink`.

    Entering checks the topics. Leaving discards the producer: messages in its buffers are given up
    at once, and requests in flight are waited for, at most ``timeouts.ANSWER_SECONDS``. So they
    are in the topic when the next session reads it.

    Args:
        settings: The settings of the bridge.
        dead_letter_topic: None if nothing is dead-lettered.
        wake: Is set when the broker has answered.
    """

    #: The exceptions of a client that does not accept a message.
    client_errors: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(
        self, settings: Settings, dead_letter_topic: str | None, wake: threading.Event
    ) -> None:
        self.broken = False
        self._settings = settings
        self._dead_letter_topic = dead_letter_topic
        self._wake = wake
        self._latest_warning = self._make_latest_warning()
        self._topics: dict[str, Topic] = {}
        #: The offset after the latest settled message of the topic, by partition.
        self._offsets: dict[int, int] = {}

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    def _make_latest_warning(self) -> LatestWarning: ...

    @abstractmethod
    def _hand_over(self, sendings: Sequence[Sending]) -> None:
        """Give messages to the client; raises ``client_errors``."""

    @abstractmethod
    def _collect(self) -> tuple[list[Delivery], Any]:
        """Return the new acknowledged deliveries and the first failure, or None.

        The failure is an error of the client or of the bridge.
        """

    @abstractmethod
    def _classify(self, error: Any) -> BridgeError:
        """Return the bridge's error for an error of the client."""

    def max_message_bytes(self, topic: str) -> int:
        """Return the largest accepted message in bytes; 0 if the topic does not exist."""
        known = self._topics.get(topic)
        return known.message_limit() if known else 0

    @property
    def topic_id(self) -> str:
        """The id of ``kafka.topic`` when the sink was opened; empty if the broker has no ids."""
        return self._topics[self._settings.kafka.topic].topic_id

    def send(self, sendings: Sequence[Sending]) -> None:
        """Give messages to the client, each partition's in a row.

        Raises:
            BridgeError: The client did not accept a message, or failed before.
        """
        if self.broken:
            raise discarded_producer_error()
        try:
            self._hand_over(sendings)
        except BridgeError:
            self.broken = True
            raise
        except self.client_errors as error:
            self.broken = True
            raise self._classify(error) from error

    def settled(self) -> list[Delivery]:
        """Return the deliveries acknowledged since the last call.

        Raises:
            BridgeError: A delivery failed, and none before it is left to return; raised once.
        """
        if self.broken:
            return []
        deliveries, failure = self._collect()
        if failure is not None and not deliveries:
            self.broken = True
            raise failure if isinstance(failure, BridgeError) else self._classify(failure)
        return deliveries

    def offsets(self) -> Mapping[int, int]:
        """Return the offset after the latest settled message of ``kafka.topic``, by partition.

        Counted since the sink was opened: a partition is absent until ``settled`` returned a
        delivery of it whose offset the broker reported.
        """
        return dict(self._offsets)

    def refused(self) -> bool:
        """Return whether the client's latest warning is about credentials or certificates."""
        return is_refusal(self._latest_warning.recent())

    def complaint(self) -> str:
        """Return the client's latest warning; empty if it has not warned recently."""
        return self._latest_warning.recent()
