"""Tells Kafka of one state change from inside a service, with the bridge's own message and producer.

For services that do not want to wait for a bridge beside their MongoDB: the two ways of the design of
the CDM Task Service's notifications that need nothing but Kafka, synchronous and fire and forget.
"""

from bridge.errors import SendFailed
from bridge.notifier.notifier import Notifier

__all__ = ["Notifier", "SendFailed"]
