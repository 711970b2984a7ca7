"""An admin client that is made when needed, and again after an error."""

from confluent_kafka import KafkaException

from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.admin_client import AdminClient
from bridge.kafka.librdkafka.client import ClientLogger, connection
from bridge.kafka.librdkafka.errors import classify
from bridge.settings import Settings


class ReplaceableAdmin:
    """Makes admin clients: a new client uses a password that was rotated meanwhile."""

    def __init__(self, settings: Settings, latest_warning: LatestWarning) -> None:
        self._settings = settings
        self._latest_warning = latest_warning
        self._client: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """The client; connects in the background. Raises the bridge's errors."""
        if self._client is None:
            try:
                self._client = AdminClient(
                    connection(self._settings, self._latest_warning),
                    logger=ClientLogger(self._latest_warning),
                )
            except KafkaException as error:
                raise classify(error, self._latest_warning.recent()) from error
        return self._client

    def discard(self) -> None:
        """Drop the client; the next use makes another."""
        self._client = None
