"""The driver in pure Python: the client KBase services use, always installed."""

from kafka import __version__ as VERSION

from bridge.kafka.kafka_python.producer import KafkaPythonSink
from bridge.kafka.kafka_python.topics import KafkaPythonTopics

__all__ = ["VERSION", "KafkaPythonSink", "KafkaPythonTopics"]
