"""The Kafka drivers, and which of them is used; a driver is imported only when it is chosen."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import Misconfigured
from bridge.kafka.topics import Topics
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.kafka.kafka_python import KafkaPythonSink
    from bridge.kafka.kafka_python.reader import TopicReader
    from bridge.kafka.librdkafka import LibrdkafkaSink

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KafkaDriver:
    """One way to speak to Kafka. ``sink`` takes the settings, the dead-letter topic (None where nothing goes to one) and the event that wakes its user."""

    name: str
    version: str
    sink: Callable[
        [Settings, str | None, threading.Event],
        "AbstractContextManager[KafkaPythonSink | LibrdkafkaSink]",
    ]
    topics: Callable[[Settings], Topics]
    #: One for both: reading back is for commands, and kafka-python is always there.
    reader: Callable[[Settings], "AbstractContextManager[TopicReader]"]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def driver_of(settings: Settings) -> KafkaDriver:
    """The driver ``kafka.driver`` asks for; ``auto``: librdkafka where it is installed and loads."""
    asked = settings.kafka.driver
    if asked == "kafka-python":
        return _kafka_python()
    try:
        return _librdkafka()
    except ImportError as error:
        if asked == "librdkafka":
            raise Misconfigured(
                f"kafka.driver = librdkafka, which cannot be loaded: {error}",
                "Nothing was read or sent",
                "pip install confluent-kafka, or set kafka.driver = auto",
            ) from None
        if not isinstance(error, ModuleNotFoundError):
            logger.warning(
                "librdkafka is installed but cannot be loaded, going on with kafka-python: %s",
                error,
            )
    return _kafka_python()


def _kafka_python() -> KafkaDriver:
    from bridge.kafka import kafka_python

    return KafkaDriver(
        "kafka-python",
        kafka_python.VERSION,
        kafka_python.KafkaPythonSink,
        kafka_python.KafkaPythonTopics,
        _reader,
    )


def _reader(settings: Settings) -> "TopicReader":
    from bridge.kafka.kafka_python.reader import TopicReader

    return TopicReader(settings)


def _librdkafka() -> KafkaDriver:
    from bridge.kafka import librdkafka

    return KafkaDriver(
        "librdkafka",
        librdkafka.VERSION,
        librdkafka.LibrdkafkaSink,
        librdkafka.LibrdkafkaTopics,
        _reader,
    )
