"""The driver on kafka-python, a client in pure Python; always installed."""

from kafka import __version__ as VERSION

from bridge.kafka.kafka_python.probe import KafkaPythonProbe
from bridge.kafka.kafka_python.producer import KafkaPythonSink
from bridge.kafka.kafka_python.topics import KafkaPythonTopics

__all__ = ["VERSION", "KafkaPythonProbe", "KafkaPythonSink", "KafkaPythonTopics"]
