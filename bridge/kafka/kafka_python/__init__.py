"""The driver on kafka-python, a client in pure Python; always installed.

Every import of a module of this package raises ``Misconfigured`` with a version that lacks a name:
the package installs with older versions, beside which only the notifier works.
"""

from bridge.kafka.errors import unsupported_client_error

try:
    from kafka import __version__ as VERSION
    from kafka import codec

    from bridge.kafka.kafka_python.client import require_kerberos
    from bridge.kafka.kafka_python.probe import KafkaPythonProbe
    from bridge.kafka.kafka_python.producer import KafkaPythonSink
    from bridge.kafka.kafka_python.topics import KafkaPythonTopics
except ImportError as error:
    raise unsupported_client_error(f"kafka-python cannot be loaded: {error}") from None


def has_codec(compression: str) -> bool:
    """Return whether the package of a codec is installed."""
    return compression == "none" or bool(getattr(codec, f"has_{compression}")())


__all__ = [
    "VERSION",
    "KafkaPythonProbe",
    "KafkaPythonSink",
    "KafkaPythonTopics",
    "has_codec",
    "require_kerberos",
]
