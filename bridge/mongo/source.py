"""The source as the pipeline sees it: preflight, where to start, the stream after a position, and the jobs' history."""

import threading

from pymongo import MongoClient
from pymongo.collection import Collection

from bridge.errors import Misconfigured
from bridge.model.checkpoint import ClusterIdentity
from bridge.model.position import Position
from bridge.model.profile import Profile, namespace_of
from bridge.mongo.change_stream import ChangeStream, watched
from bridge.mongo.client import Document, history_client, stream_client
from bridge.mongo.cluster import STANDALONE, Cluster, Deployment
from bridge.mongo.decoder import Decoder
from bridge.mongo.errors import translated
from bridge.mongo.job_history import JobHistoryReader
from bridge.mongo.job_id_cache import JobIdCache, lookup_in
from bridge.mongo.stages import fingerprint, shaping_stages
from bridge.mongo.tags import JobTags, Sweep, TransitionTags
from bridge.settings import Settings


class MongoSource:
    """The jobs collection of one database.

    ``client`` is for short commands and stays with the caller; the stream and the history have
    clients of their own. Job ids stay remembered from one stream to the next.
    """

    def __init__(self, settings: Settings, profile: Profile, client: MongoClient[Document]) -> None:
        self._settings = settings
        self.profile = profile
        self._namespace = namespace_of(settings)
        self._client = client
        self.cluster = Cluster(client)
        self._stream_client = stream_client(settings)
        self._history_client = history_client(settings)
        self.ids = JobIdCache(lookup_in(self._collection(client), profile.id_field))
        self.history = JobHistoryReader(self._collection(self._history_client), profile)

    def identity(self, *, streams: bool = True) -> ClusterIdentity:
        """Ask who is there; raises for a view, and for a standalone where ``streams`` are needed."""
        deployment = self.deployment(streams=streams)
        self.exists()
        return ClusterIdentity(
            self._namespace,
            deployment.cluster_id,
            fingerprint(self.profile),
            deployment.cluster_time,
        )

    def deployment(self, *, streams: bool = True) -> Deployment:
        """Who is there; raises :class:`Misconfigured` for a standalone where ``streams`` are needed."""
        deployment = self.cluster.deployment()
        if streams and not deployment.streams:
            raise Misconfigured(
                "This mongod is a standalone, not a replica set",
                "Nothing was read or sent",
                STANDALONE,
            )
        return deployment

    def exists(self) -> bool:
        """Whether the collection is there: watching one that is not is fine, it may come; a view is not."""
        with translated():
            # A user may see a collection without the right to list: ask for names only, and own ones.
            found = list(
                self._client.get_database(self._settings.mongo.database).list_collections(
                    filter={"name": self.profile.collection},
                    nameOnly=True,
                    authorizedCollections=True,
                )
            )
        if found and found[0].get("type") == "view":
            raise Misconfigured(
                f"{self._namespace} is a view; change streams watch collections only",
                "Nothing was read or sent",
                "Set mongo.collection to the collection behind it",
            )
        return bool(found)

    def open(self, start: Position, wake: threading.Event, *, by_time: bool) -> ChangeStream:
        """The stream after ``start``, to be entered; ``by_time`` when the fields read have changed since."""
        decoder = Decoder(self.profile, self.ids)
        return ChangeStream(
            self._collection(self._stream_client),
            shaping_stages(self.profile),
            decoder,
            start,
            wake,
            by_time=by_time,
        )

    def tags(self) -> TransitionTags | JobTags:
        """The tags of the background mode the settings ask for; those of transitions where they ask for none."""
        sweep, collection, patient = (
            self._settings.sweep,
            self._collection(self._client),
            self._collection(self._history_client),
        )
        if self._settings.delivery.mode == "background-jobs":
            return JobTags(collection, self.profile, sweep.job_tag, patient)
        return TransitionTags(collection, self.profile, sweep.transition_tag, patient)

    def tagger(self) -> JobTags:
        """Return the tagger, where the bridge sets the tags itself."""
        tags = self.tags()
        assert isinstance(tags, JobTags)
        return tags

    def missing_sweep_index(self) -> str:
        """Return the name of the index that a sweep lacks; empty when it has one."""
        return self.sweep().missing_index()

    def sweep(self) -> Sweep:
        """The sweep of these tags."""
        return Sweep(self._collection(self._history_client), self.tags())

    def close(self) -> None:
        """Close the stream's client; also ends a reader that hangs on a dead path."""
        self._stream_client.close()
        self._history_client.close()

    def _collection(self, client: MongoClient[Document]) -> Collection[Document]:
        return watched(client, self._settings.mongo.database, self.profile.collection)
