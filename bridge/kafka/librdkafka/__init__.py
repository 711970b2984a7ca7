"""The driver in C, by way of confluent-kafka: several times the rate at a fraction of the CPU; an extra."""

from confluent_kafka import libversion

from bridge.kafka.librdkafka.producer import LibrdkafkaSink
from bridge.kafka.librdkafka.topics import LibrdkafkaTopics

VERSION = libversion()[0]

__all__ = ["VERSION", "LibrdkafkaSink", "LibrdkafkaTopics"]
