"""job-bridge publishes every state transition of a job in MongoDB as a Kafka message.

``bridge.Notifier`` and ``bridge.AsyncNotifier`` are for services that send messages themselves, and
raise the errors that are exported here. Everything else is the command ``job-bridge``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.errors import (
        BridgeError,
        MessageTooLarge,
        Misconfigured,
        NotPermitted,
        Retryable,
        SendFailed,
    )
    from bridge.notifier import AsyncNotifier, Notifier

__version__ = "0.3.0.dev0"
__all__ = [
    "AsyncNotifier",
    "BridgeError",
    "MessageTooLarge",
    "Misconfigured",
    "NotPermitted",
    "Notifier",
    "Retryable",
    "SendFailed",
    "__version__",
]

_NOTIFIERS = ("AsyncNotifier", "Notifier")


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that reading the version imports no Kafka client."""
    if name in __all__:
        home = "bridge.notifier" if name in _NOTIFIERS else "bridge.errors"
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'bridge' has no attribute {name!r}")
