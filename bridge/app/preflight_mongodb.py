"""The part of ``job-bridge check`` that checks MongoDB and the checkpoint."""

import json
import threading
import time
from collections.abc import Iterator

from bridge.app.finding import Finding, guarded
from bridge.app.starting_point import admit_history, first_position
from bridge.app.tested_versions import MONGODB, with_note
from bridge.app.wiring import open_source_and_store
from bridge.errors import Misconfigured, ResumePointLost
from bridge.hints import Hint
from bridge.model.checkpoint import Checkpoint
from bridge.model.cluster_identity import admit_namespace
from bridge.model.position import ClusterTime, Position, position_past
from bridge.model.profile import namespace_of
from bridge.mongo.job_sample import NEWEST
from bridge.mongo.source import MongoSource
from bridge.observability.snapshot import SWEEP_ONLY
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings

_HOUR = 3600
_MAX_EXAMPLES = 3
_CLOCK_TOLERANCE_SECONDS = 5
#: The settings of a field that jobs may lack, and what the bridge does without it.
_WITHOUT = {
    "state_field": "their latest state is not known",
    "archive_field": "no transition of an earlier run is read",
    "updated_field": "a recovery reads all of them, whatever their age",
    "transition_trans_id": "the bridge makes the identity of a transition from the job, the time, "
    "the sequence and the state",
}


def check_mongodb(settings: Settings) -> Iterator[Finding]:
    """Yield findings about the deployment, the collection, the rights and the checkpoint."""
    with open_source_and_store(settings) as (source, store):
        deployment = source.deployment(streams=not settings.keeps_no_position)
        cluster = deployment.cluster_id.rstrip("/")
        version = with_note(deployment.version, MONGODB)
        yield Finding("ok", "mongodb", f"{deployment.kind} {cluster}, {version}")
        mode = f"delivery.mode {settings.delivery.mode}, the position is kept in {store.where}"
        yield Finding("ok", "mode", mode)
        yield _collection(settings, source)
        yield from guarded("jobs", lambda: _documents(settings, source))
        yield from guarded("jobs", lambda: _shared_ids(source))
        newest = deployment.cluster_time
        if deployment.streams:
            yield from guarded("rights", lambda: _stream(settings, source, newest))
        else:
            todo = "nothing, if a delay of sweep.every_seconds is acceptable"
            yield Finding("warning", "stream", SWEEP_ONLY, todo)
        yield _clock(newest)
        if settings.delivery.mode.startswith("background"):
            yield from guarded("sweep", lambda: _sweep(source))
        if not settings.keeps_no_position:
            yield from guarded("history", lambda: _history(settings, source))
            yield from guarded("checkpoint", lambda: _checkpoint(settings, source, store))


def _collection(settings: Settings, source: MongoSource) -> Finding:
    if source.collection_exists():
        return Finding("ok", "collection", f"{namespace_of(settings)} exists")
    similar = source.similar_collections()
    return Finding(
        "warning",
        "collection",
        f"{namespace_of(settings)} does not exist yet; the bridge would wait for it"
        + (f" (similar names: {', '.join(similar)})" if similar else ""),
        "check mongo.database and mongo.collection",
    )


def _documents(settings: Settings, source: MongoSource) -> Iterator[Finding]:
    problem = source.sample.misfit()
    if not problem:
        yield Finding(
            "ok", "jobs", "the documents of the newest and of the oldest jobs fit, if any"
        )
        yield from _absent_fields(settings, source)
        return
    raise Misconfigured(
        f"The documents of {namespace_of(settings)} do not fit jobs.profile = "
        f"{settings.jobs.profile}: in every sampled job {problem}",
        "No transition of them could be sent",
        "Correct mongo.collection or jobs.profile; jobs.profile = custom sets the fields in "
        "brackets",
    )


def _absent_fields(settings: Settings, source: MongoSource) -> Iterator[Finding]:
    """Warn of fields that were given and that no job has; a shipped profile gives none."""
    jobs = settings.jobs
    given = [name for name in _WITHOUT if name in jobs.model_fields_set and getattr(jobs, name)]
    for name in source.sample.absent(given):
        yield Finding(
            "warning",
            "jobs",
            f"none of the newest {NEWEST} jobs contains {getattr(jobs, name)} (jobs.{name}): "
            + _WITHOUT[name],
            "nothing if a job gets it later; otherwise correct the name",
        )


def _shared_ids(source: MongoSource) -> Iterator[Finding]:
    if shared := source.history.shared_ids(_MAX_EXAMPLES):
        field = source.profile.id_field
        yield Finding(
            "warning",
            "jobs",
            f"several documents have the same job id ({', '.join(shared)}): "
            "consumers take their transitions for those of a single job",
            f"give each document an id of its own; a unique index on {field} prevents more",
        )


def _stream(settings: Settings, source: MongoSource, newest: ClusterTime) -> Iterator[Finding]:
    with source.open(position_past(newest), threading.Event(), by_time=False):
        text = f"this user may read the change stream of {namespace_of(settings)}"
        yield Finding("ok", "rights", text)
    source.lookup.current([None])
    yield Finding("ok", "rights", "this user may look up job ids")


def _sweep(source: MongoSource) -> Iterator[Finding]:
    sweep = source.sweep()
    sweep.check_rights()
    yield Finding("ok", "sweep", "this user may remove tags")
    missing = sweep.missing_indexes()
    for name in missing:
        yield Finding(
            "warning",
            "sweep",
            f"the index {name} is missing: each sweep reads every job",
            f"'{Hint.CREATE_SWEEP_INDEX}' creates it",
        )
    if not missing:
        yield Finding("ok", "sweep", "an index finds the tagged jobs")


def _history(settings: Settings, source: MongoSource) -> Iterator[Finding]:
    if settings.recovery.on_history_lost == "stop":
        yield Finding("ok", "history", "not used: a lost resume point stops the bridge (exit 80)")
        return
    profile = source.profile
    if profile.updated_field or profile.transitions_field is not None:
        yield _history_index(source)
    if profile.transitions_field is None:
        recovered = (
            "only the latest state of each can be recovered"
            if profile.updated_field
            else "nothing can be recovered: each state without a time becomes a dead letter, "
            "and more than delivery.dead_letters_per_hour of them end the bridge (82)"
        )
        yield Finding(
            "warning",
            "history",
            f"jobs contain no history: after a lost resume point {recovered}",
        )


def _history_index(source: MongoSource) -> Finding:
    field = source.profile.updated_field
    if not field:
        text = "jobs.updated_field is empty: after a lost resume point every job is read"
        return Finding("ok", "history", text)
    if not source.collection_exists():
        text = f"checked when the collection exists: it needs an index on {field}"
        return Finding("ok", "history", text)
    if unindexed := source.history.unindexed_field():
        return Finding(
            "warning",
            "history",
            f"no index on {unindexed}: after a lost resume point MongoDB would sort all jobs",
            f"run createIndex({json.dumps({unindexed: 1})}) on the collection",
        )
    return Finding(
        "ok", "history", "a gap can be read from the jobs, by an index on their last update"
    )


def _clock(newest: ClusterTime) -> Finding:
    ahead = newest.seconds - time.time()
    if ahead > _CLOCK_TOLERANCE_SECONDS:
        return Finding(
            "warning",
            "clock",
            f"MongoDB's newest write is {ahead:.0f} s in this machine's future",
            "synchronise both clocks: the latency metrics compare them",
        )
    return Finding("ok", "clock", "MongoDB's newest write is not in this machine's future")


def _checkpoint(
    settings: Settings, source: MongoSource, store: CheckpointStore
) -> Iterator[Finding]:
    store.check_rights()
    yield Finding("ok", "checkpoint", f"can be kept in {store.where}")
    stored = store.load()
    if stored is not None:
        admit_namespace(stored, namespace_of(settings))
    yield _oplog(source.cluster.oldest_oplog_entry(), source.cluster.last_write())
    start = settings.start.from_
    if stored is None:
        first = first_position(start, source.identity().newest)
        text = f"does not exist yet: the first start uses start.from = {start}"
        yield Finding("ok", "checkpoint", text)
        yield _opens(settings, source, first, by_time=False)
        return
    if start != "now":
        yield Finding(
            "warning",
            "checkpoint",
            f"start.from = {start} is not used: there is a checkpoint already",
            f"nothing; after '{Hint.TOKEN_CLEAR}' the next start uses it",
        )
    yield from _stored(settings, source, stored)


def _stored(settings: Settings, source: MongoSource, stored: Checkpoint) -> Iterator[Finding]:
    identity = source.identity()
    identity.admit(stored)
    admit_history(source, stored)
    lag = identity.cluster_time.seconds - stored.position.cluster_time.seconds
    yield Finding("ok", "checkpoint", f"at {stored.position}, {lag} s before the newest write")
    by_time = stored.fingerprint != identity.fingerprint
    yield _opens(settings, source, stored.needed, by_time=by_time)


def _opens(
    settings: Settings, source: MongoSource, position: Position, *, by_time: bool
) -> Finding:
    try:
        with source.open(position, threading.Event(), by_time=by_time):
            return Finding("ok", "checkpoint", "the stream opens there")
    except ResumePointLost as error:
        if settings.recovery.on_history_lost == "stop":
            raise
        return Finding(
            "warning",
            "checkpoint",
            f"{error.what}: the changes since then are published from the jobs' history first",
            "nothing now; enlarge the oplog so that it covers the longest outage",
        )


def _oplog(oldest: ClusterTime | None, newest: ClusterTime | None) -> Finding:
    if oldest is None or newest is None:
        return Finding(
            "warning",
            "oplog",
            "this user may not read the oplog's window",
            "grant serverStatus on the cluster, to be warned before the resume point is lost",
        )
    hours = (newest.seconds - oldest.seconds) / _HOUR
    text = f"covers {hours:.1f} hours, and more each hour until it is full"
    return Finding("ok", "oplog", text)
