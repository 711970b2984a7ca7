"""The driver on kafka-python, a client in pure Python; always installed."""

from kafka import __version__ as VERSION
from kafka import codec

from bridge.kafka.kafka_python.probe import KafkaPythonProbe
from bridge.kafka.kafka_python.producer import KafkaPythonSink
from bridge.kafka.kafka_python.topics import KafkaPythonTopics


def has_codec(compression: str) -> bool:
    """Return whether the package of a codec is installed."""
    return compression == "none" or bool(getattr(codec, f"has_{compression}")())


__all__ = ["VERSION", "KafkaPythonProbe", "KafkaPythonSink", "KafkaPythonTopics", "has_codec"]
