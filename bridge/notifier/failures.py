"""The failures of a notifier, in words for its callers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.errors import BridgeError, Retryable
from bridge.notifier.arguments import in_keywords

logger = logging.getLogger("bridge")

_CHECK_KAFKA = "Check bootstrap_servers, security_protocol and that Kafka is up"


@contextmanager
def translated() -> Iterator[None]:
    """Raise ``BridgeError`` for any exception, and log one that is a bug."""
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:  # the thread must not die unnoticed
        logger.exception("the notifier failed")
        raise BridgeError(f"bug in the notifier: {type(error).__name__}: {error}") from error


def for_callers(error: BridgeError, data: str) -> BridgeError:
    """Return the same failure with advice for ``Notifier`` instead of a running bridge."""
    action = _CHECK_KAFKA if isinstance(error, Retryable) else in_keywords(error.todo)
    return type(error)(in_keywords(error.what), data, action, part=error.part)
