"""Replaces the MongoDB clients of a bridge when new ones may work."""

import logging
from typing import Protocol

from bridge.errors import BridgeError, Misconfigured, NotPermitted
from bridge.mongo.connection_failures import TlsFailed
from bridge.pipeline.context import PipelineContext

logger = logging.getLogger("bridge")

#: Failures that last this long replace the clients: their server may answer new ones.
REPLACE_SECONDS = 60.0
#: A password or a certificate may have been replaced: the next session connects with new clients.
_AT_ONCE = (NotPermitted, Misconfigured, TlsFailed)
_PARTS = frozenset({"mongodb", "checkpoint"})
_LOG_SECONDS = 30.0


class Replaceable(Protocol):
    """Clients that can be replaced."""

    def replace_clients(self) -> None:
        """Make new clients, with the secrets and TLS files read again.

        Raises:
            Misconfigured: A file cannot be used now; the present clients stay.
        """


class ClientReplacement:
    """Decides when the MongoDB clients are replaced; Kafka's are made again by each session."""

    def __init__(self, source: Replaceable, context: PipelineContext) -> None:
        self._source = source
        self._clock = context.clock
        self._counters = context.counters
        self._replaced_at = float("-inf")
        self._logged_at = float("-inf")

    def due(self, error: BridgeError, failing_seconds: float) -> bool:
        """Return whether ``error`` replaces the clients.

        Args:
            error: The failure that ended a session.
            failing_seconds: How long sessions have failed.
        """
        if error.part not in _PARTS:
            return False
        since_last = self._clock.monotonic() - self._replaced_at
        return isinstance(error, _AT_ONCE) or min(failing_seconds, since_last) >= REPLACE_SECONDS

    def replace(self) -> None:
        """Replace the clients; a file that cannot be used now is only logged."""
        self._replaced_at = self._clock.monotonic()
        try:
            self._source.replace_clients()
        except Misconfigured as error:
            self._log(logging.WARNING, f"the MongoDB clients cannot be replaced yet: {error}")
            return
        self._counters.clients_replaced += 1
        self._log(
            logging.INFO,
            "MongoDB clients replaced, because the present ones failed; passwords and "
            "certificates were read again, and the next session connects with them",
        )

    def _log(self, level: int, text: str) -> None:
        now = self._clock.monotonic()
        if now - self._logged_at >= _LOG_SECONDS:
            self._logged_at = now
            logger.log(level, "%s", text)
