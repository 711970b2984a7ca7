"""job-bridge publishes every state transition of a job in MongoDB as a Kafka message.

``bridge.Notifier`` is for services that send messages themselves. Everything else is the command
``job-bridge``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.errors import SendFailed
    from bridge.notifier import Notifier

__version__ = "0.2.0"
__all__ = ["Notifier", "SendFailed", "__version__"]

_HOMES = {"Notifier": "bridge.notifier", "SendFailed": "bridge.errors"}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that reading the version imports no Kafka client."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bridge' has no attribute {name!r}")
