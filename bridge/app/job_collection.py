"""Samples the jobs collection for ``job-bridge init``."""

from contextlib import closing
from dataclasses import replace

from bridge.app.wiring import make_source
from bridge.model.profile import namespace_of
from bridge.mongo.client import sample_client
from bridge.mongo.collection_sample import CollectionSample, sample_collection
from bridge.settings import Settings


def sample_jobs(settings: Settings, count: int) -> CollectionSample:
    """Return a sample of the collection of the settings; its note says if that does not exist.

    Raises:
        BridgeError: MongoDB is unreachable, denies access, or the collection is a view.
    """
    with (
        closing(sample_client(settings)) as client,
        closing(make_source(settings, client)) as source,
    ):
        exists = source.collection_exists()
        collection = source.profile.collection
        sample = sample_collection(client, settings.mongo.database, collection, count)
        if exists or sample.documents:
            return sample
        similar = source.similar_collections()
        note = f"{namespace_of(settings)} does not exist" + (
            f" (similar names: {', '.join(similar)})" if similar else ""
        )
        return replace(sample, note=note)
