"""Sends a Kafka message for each state change from inside a service.

For services that do not run a bridge beside their MongoDB: the modes synchronous and
fire-and-forget need nothing but Kafka. Message and producer are those of the bridge.
"""

from bridge.notifier.async_notifier import AsyncNotifier
from bridge.notifier.notifier import Notifier

__all__ = ["AsyncNotifier", "Notifier"]
