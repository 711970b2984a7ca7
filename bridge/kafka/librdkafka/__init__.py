"""The driver on librdkafka, a client in C, through confluent-kafka; an optional extra."""

from confluent_kafka import libversion

from bridge.kafka.librdkafka.options import check_mechanism, check_options
from bridge.kafka.librdkafka.probe import LibrdkafkaProbe
from bridge.kafka.librdkafka.producer import LibrdkafkaSink
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics

VERSION = libversion()[0]

__all__ = [
    "VERSION",
    "LibrdkafkaProbe",
    "LibrdkafkaSink",
    "LibrdkafkaTopics",
    "check_mechanism",
    "check_options",
]
