"""Chooses the Kafka driver; a driver is imported only when it is chosen."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import Misconfigured
from bridge.kafka.errors import missing_codec_error, unused_options_error
from bridge.kafka.probe import TopicProbe
from bridge.kafka.topics import Topics
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.kafka.kafka_python.reader import TopicReader
    from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore
    from bridge.kafka.librdkafka.reader import LibrdkafkaTailReader
    from bridge.kafka.sink import KafkaSink

logger = logging.getLogger(__name__)


def _refuse_checkpoint_store(
    settings: Settings, dead_letter_topic: str | None
) -> "KafkaCheckpointStore":
    raise Misconfigured(
        "checkpoint.store = kafka needs librdkafka, but the driver is kafka-python",
        "Nothing was read or sent",
        "pip install 'job-bridge[librdkafka]', and set kafka.driver = auto",
        part="checkpoint",
    )


@dataclass(frozen=True, slots=True)
class KafkaDriver:
    """A Kafka client library.

    ``sink`` accepts the settings, the dead-letter topic (None if nothing is dead-lettered) and the
    event that wakes its user. ``tail_reader`` reads a topic back at the start of a session.
    ``reader`` and ``broker_version`` are kafka-python's with both drivers.
    ``checkpoint_store`` accepts the settings and the dead-letter topic; kafka-python's raises
    ``Misconfigured``.
    """

    name: str
    version: str
    sink: Callable[[Settings, str | None, threading.Event], "AbstractContextManager[KafkaSink]"]
    topics: Callable[[Settings], Topics]
    tail_reader: Callable[[Settings], "AbstractContextManager[TopicReader | LibrdkafkaTailReader]"]
    reader: Callable[[Settings], "AbstractContextManager[TopicReader]"]
    broker_version: Callable[[Settings], str]
    probe: Callable[[Settings], TopicProbe]
    checkpoint_store: Callable[[Settings, str | None], "KafkaCheckpointStore"] = (
        _refuse_checkpoint_store
    )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def driver_of(settings: Settings) -> KafkaDriver:
    """Return the driver that ``kafka.driver`` names; ``auto`` prefers librdkafka.

    Raises:
        Misconfigured: The driver cannot be loaded, does not accept ``kafka.options``, or lacks
            the codec of ``kafka.compression`` or Kerberos.
    """
    chosen = settings.kafka.driver
    if chosen == "kafka-python":
        return _kafka_python(settings)
    try:
        return _librdkafka(settings)
    except ImportError as error:
        if chosen == "librdkafka":
            raise Misconfigured(
                f"kafka.driver = librdkafka, which cannot be loaded: {error}",
                "Nothing was read or sent",
                "pip install confluent-kafka, or set kafka.driver = auto",
            ) from None
        if not isinstance(error, ModuleNotFoundError):
            logger.warning(
                "librdkafka is installed but cannot be loaded (%s): using kafka-python", error
            )
    return _kafka_python(settings)


def _kafka_python(settings: Settings) -> KafkaDriver:
    from bridge.kafka import kafka_python

    if not kafka_python.has_codec(settings.kafka.compression):
        raise missing_codec_error(settings.kafka.compression)
    if settings.kafka.librdkafka_options():
        raise unused_options_error()
    kafka_python.require_kerberos(settings.kafka)
    return KafkaDriver(
        "kafka-python",
        kafka_python.VERSION,
        kafka_python.KafkaPythonSink,
        kafka_python.KafkaPythonTopics,
        _reader,
        _reader,
        _broker_version,
        kafka_python.KafkaPythonProbe,
    )


def _reader(settings: Settings) -> "TopicReader":
    from bridge.kafka.kafka_python.reader import TopicReader

    return TopicReader(settings)


def _broker_version(settings: Settings) -> str:
    from bridge.kafka.kafka_python.topics import KafkaPythonTopics

    return KafkaPythonTopics(settings).broker_version()


def _librdkafka_tail_reader(settings: Settings) -> "LibrdkafkaTailReader":
    from bridge.kafka.librdkafka.reader import LibrdkafkaTailReader

    return LibrdkafkaTailReader(settings)


def _librdkafka_checkpoint_store(
    settings: Settings, dead_letter_topic: str | None
) -> "KafkaCheckpointStore":
    from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore

    return KafkaCheckpointStore(settings, dead_letter_topic)


def _librdkafka(settings: Settings) -> KafkaDriver:
    from bridge.kafka import librdkafka

    librdkafka.check_mechanism(settings)
    librdkafka.check_options(settings)
    return KafkaDriver(
        "librdkafka",
        librdkafka.VERSION,
        librdkafka.LibrdkafkaSink,
        librdkafka.LibrdkafkaTopics,
        _librdkafka_tail_reader,
        _reader,
        _broker_version,
        librdkafka.LibrdkafkaProbe,
        _librdkafka_checkpoint_store,
    )
