"""Asks MongoDB about the jobs again and again, with a client of its own."""

from bridge.model.profile import Profile
from bridge.mongo.client import probe_client
from bridge.mongo.source import MongoSource
from bridge.settings import Settings


class SourceProbe:
    """A source whose questions are answered or fail within a few seconds; for a single thread.

    After a failure it is closed and replaced: a new client remembers no round trip times of an
    outage, and reads passwords and certificates again.
    """

    def __init__(self, settings: Settings, profile: Profile) -> None:
        self._client = probe_client(settings)
        self.source = MongoSource(settings, profile, self._client)

    def close(self) -> None:
        """Close the clients."""
        self.source.close()
        self._client.close()
