"""The jobs collection as the bridge uses it: its stream, its history and its tags."""

import threading
from collections.abc import Sequence

from pymongo import MongoClient
from pymongo.collection import Collection

from bridge.errors import Misconfigured
from bridge.model.cluster_identity import ClusterIdentity
from bridge.model.position import Position
from bridge.model.profile import Profile, namespace_of
from bridge.mongo.change_stream import ChangeStream, jobs_collection
from bridge.mongo.client import Document, ReplaceableClient, history_client, stream_client
from bridge.mongo.cluster import STANDALONE, Cluster, Deployment
from bridge.mongo.decoder import Decoder
from bridge.mongo.errors import translated
from bridge.mongo.job_documents import JobDocuments
from bridge.mongo.job_history_reader import JobHistoryReader
from bridge.mongo.job_lookup import JobLookup
from bridge.mongo.job_sample import JobSample
from bridge.mongo.job_tags import JobTags
from bridge.mongo.known_jobs import KnownJobs
from bridge.mongo.similar_names import similar_collections
from bridge.mongo.stages import fingerprint, shaping_stages
from bridge.mongo.tag_sweep import TagSweep
from bridge.mongo.transition_tags import TransitionTags
from bridge.mongo.unreadable_event import Shaping
from bridge.settings import Settings


class MongoSource:
    """The jobs collection of a database; its streams share the ids of known jobs.

    Args:
        client: for short commands; the caller closes it. The stream and the history use clients of
            their own, which :meth:`close` closes.
    """

    def __init__(self, settings: Settings, profile: Profile, client: ReplaceableClient) -> None:
        self._settings = settings
        self.profile = profile
        self._namespace = namespace_of(settings)
        self._client = client
        self.cluster = Cluster(client)
        self._stream_client = stream_client(settings)
        self._history_client = history_client(settings)
        self._shaping = Shaping(shaping_stages(profile))
        self.sample = JobSample(self._collection(client), profile)
        self.lookup = JobLookup(self._collection(client), JobDocuments(profile).fields)
        self._jobs = KnownJobs()
        self.history = JobHistoryReader(self._collection(self._history_client), profile)

    def identity(self, *, streams: bool = True) -> ClusterIdentity:
        """Return the identity of the cluster and the collection.

        Raises:
            Misconfigured: the collection is a view, or ``streams`` are needed and this is a
                standalone.
        """
        deployment = self.deployment(streams=streams)
        self.collection_exists()
        return ClusterIdentity(
            self._namespace,
            deployment.cluster_id,
            fingerprint(self.profile),
            deployment.cluster_time,
        )

    def deployment(self, *, streams: bool = True) -> Deployment:
        """Return facts about the deployment.

        Raises:
            Misconfigured: ``streams`` are needed and this is a standalone.
        """
        deployment = self.cluster.deployment()
        if streams and not deployment.streams:
            raise Misconfigured(
                "This mongod is a standalone, not a replica set",
                "Nothing was read or sent",
                STANDALONE,
            )
        return deployment

    def collection_exists(self) -> bool:
        """Whether the collection exists; the bridge can watch it before it does.

        Raises:
            Misconfigured: it is a view.
        """
        with translated():
            # With these options a user without the right listCollections sees permitted ones.
            collections = list(
                self._client.get_database(self._settings.mongo.database).list_collections(
                    filter={"name": self.profile.collection},
                    nameOnly=True,
                    authorizedCollections=True,
                )
            )
        if collections and collections[0].get("type") == "view":
            raise Misconfigured(
                f"{self._namespace} is a view; change streams watch collections only",
                "Nothing was read or sent",
                "Set mongo.collection to the collection that the view reads",
            )
        return bool(collections)

    def similar_collections(self) -> list[str]:
        """Return the namespaces of some collections with similar names, for a missing one."""
        return similar_collections(
            self._client, self._settings.mongo.database, self.profile.collection
        )

    def open(self, start: Position, wake: threading.Event, *, by_time: bool) -> ChangeStream:
        """Return the stream after ``start``, to be entered.

        Args:
            by_time: open it by cluster time, because the projected fields have changed.
        """
        return ChangeStream(
            self._collection(self._stream_client),
            self._shaping,
            Decoder(self.profile, self._jobs, self.lookup, start=start),
            start=start,
            wake=wake,
            by_time=by_time,
        )

    def tags(self) -> TransitionTags | JobTags:
        """Return the tags of the background mode; those of transitions in any other mode."""
        if self._settings.delivery.mode == "background-jobs":
            return self._job_tags()
        return TransitionTags(
            self._collection(self._client),
            self.profile,
            self._settings.sweep.transition_tag,
            for_sweeps=self._collection(self._history_client),
        )

    def tagger(self) -> JobTags | None:
        """Return the tags that the bridge sets itself; None if the service sets them."""
        return self._job_tags() if self._settings.bridge_tags else None

    def sweep(self) -> TagSweep:
        """Return the sweep of the tags."""
        return TagSweep(self._collection(self._history_client), self.tags())

    def check_tag_rights(self) -> None:
        """Raise the error that removing a tag would raise without permission; changes nothing."""
        TagSweep(self._collection(self._client), self.tags()).check_rights()

    def missing_sweep_indexes(self) -> Sequence[str]:
        """Return the names of the indexes that a sweep lacks."""
        return self.sweep().missing_indexes()

    def replace_clients(self) -> None:
        """Make the three clients again, with the password and the TLS files read again.

        Their collections stay valid, so the stream, the history and the checkpoint use them.

        Raises:
            Misconfigured: a file cannot be used now.
        """
        for client in (self._client, self._stream_client, self._history_client):
            client.replace()

    def close(self) -> None:
        """Close the clients; this also ends a reader on a dead connection."""
        self._stream_client.close()
        self._history_client.close()

    def _job_tags(self) -> JobTags:
        return JobTags(
            self._collection(self._client),
            self.profile,
            self._settings.sweep.job_tag,
            for_sweeps=self._collection(self._history_client),
        )

    def _collection(self, client: MongoClient[Document]) -> Collection[Document]:
        return jobs_collection(client, self._settings.mongo.database, self.profile.collection)
