"""The source as the pipeline sees it: preflight, where to start, and the stream after a position."""

import threading

from pymongo import MongoClient

from bridge.config import Config
from bridge.errors import Misconfigured
from bridge.model.checkpoint import Origin
from bridge.model.position import Position
from bridge.model.profile import Profile, namespace_of
from bridge.source.client import Document, stream_client
from bridge.source.cluster import Cluster
from bridge.source.decode import Decoder
from bridge.source.errors import translated
from bridge.source.jobids import JobIds, lookup_in
from bridge.source.pipeline import fingerprint, shape
from bridge.source.stream import ChangeStream, PostBatchToken, watched


class MongoSource:
    """The jobs collection of one database.

    ``client`` is for short commands and stays with the caller; the stream has a client of its own.
    Job ids stay remembered from one stream to the next.
    """

    def __init__(self, config: Config, profile: Profile, client: MongoClient[Document]) -> None:
        self._profile = profile
        self._namespace = namespace_of(config)
        self._database = config.mongo.database
        self._client = client
        self.cluster = Cluster(client)
        self._post_batch = PostBatchToken()
        self._stream_client = stream_client(config, self._post_batch)
        collection = watched(client, self._database, profile.collection)
        self.ids = JobIds(lookup_in(collection, profile.id_field))

    def origin(self) -> Origin:
        """Ask who is there; raises for a standalone and for a view."""
        deployment = self.cluster.deployment()
        self.exists()
        return Origin(self._namespace, deployment.cluster_id, fingerprint(self._profile), deployment.cluster_time)

    def exists(self) -> bool:
        """Whether the collection is there: watching one that is not is fine, it may come; a view is not."""
        with translated():
            # A user may see a collection without the right to list: ask for names only, and own ones.
            found = list(
                self._client.get_database(self._database).list_collections(
                    filter={"name": self._profile.collection}, nameOnly=True, authorizedCollections=True
                )
            )
        if found and found[0].get("type") == "view":
            raise Misconfigured(f"{self._namespace} is a view; change streams watch collections only",
                                "Nothing was read or sent", "Set mongo.collection to the collection behind it")
        return bool(found)

    def open(self, start: Position, wake: threading.Event, *, by_time: bool) -> ChangeStream:
        """The stream after ``start``, to be entered; ``by_time`` when the fields read have changed since."""
        collection = watched(self._stream_client, self._database, self._profile.collection)
        decoder = Decoder(self._profile, self.ids)
        return ChangeStream(collection, self._post_batch, shape(self._profile), decoder, start, wake, by_time=by_time)

    def close(self) -> None:
        """Close the stream's client; also ends a reader that hangs on a dead path."""
        self._stream_client.close()
