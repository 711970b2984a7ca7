"""Looks at every precondition of ``run`` and says what to do about each; changes nothing."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bridge.app.starting_point import admit_history, first_position
from bridge.app.wiring import open_source_and_store
from bridge.errors import BridgeError, ResumePointLost
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.kafka.topics import DEFAULT_MAX_MESSAGE_BYTES, Topic, missing, unwritable
from bridge.model.position import ClusterTime, Position, position_before
from bridge.model.profile import namespace_of
from bridge.mongo.source import MongoSource
from bridge.observability.http_server import unservable
from bridge.observability.status import SWEEP_ALONE
from bridge.pipeline.ports import CheckpointStore
from bridge.settings import Settings

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Finding:
    """``level`` is ok, warning or failure; ``exit_code`` is what ``run`` would end with."""

    level: str
    subject: str
    text: str
    todo: str = ""
    exit_code: int = 0


def preflight(settings: Settings) -> list[Finding]:
    """All findings, MongoDB first, then Kafka, then HTTP. A part that cannot be reached is one failure, the rest goes on."""
    looks = {"mongodb": _mongo, "kafka": _kafka, "http": _http}
    return [
        finding
        for subject, look in looks.items()
        for finding in _guarded(subject, partial(look, settings))
    ]


def _guarded(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except BridgeError as error:
        yield _failure(subject, error)


def _failure(subject: str, error: BridgeError) -> Finding:
    """What ``run`` would end with, or wait for: what happened and what it means for the data."""
    return Finding(
        "failure",
        subject,
        ". ".join(filter(None, (error.what, error.data))),
        error.todo,
        error.exit_code,
    )


def _mongo(settings: Settings) -> Iterator[Finding]:
    with open_source_and_store(settings) as (source, store):
        deployment = source.deployment(streams=not settings.keeps_no_position)
        yield Finding(
            "ok",
            "mongodb",
            f"{deployment.kind} {deployment.cluster_id.rstrip('/')}, version {deployment.version}",
        )
        yield Finding(
            "ok",
            "mode",
            f"delivery.mode {settings.delivery.mode}, the position is kept in {store.where}",
        )
        yield _collection(settings, source)
        if deployment.streams:
            yield from _guarded(
                "rights", lambda: _stream(settings, source, deployment.cluster_time)
            )
        else:
            yield Finding(
                "warning",
                "stream",
                SWEEP_ALONE,
                "nothing, if a delay of sweep.every_seconds is enough",
            )
        yield _clock(deployment.cluster_time)
        if settings.delivery.mode.startswith("background"):
            yield from _guarded("sweep", lambda: _sweep(source))
        if not settings.keeps_no_position:
            yield from _guarded("history", lambda: _history(settings, source))
            yield from _guarded("checkpoint", lambda: _checkpoint(settings, source, store))


def _collection(settings: Settings, source: MongoSource) -> Finding:
    if source.exists():
        return Finding("ok", "collection", f"{namespace_of(settings)} exists")
    return Finding(
        "warning",
        "collection",
        f"{namespace_of(settings)} does not exist yet; the bridge would wait for it",
        "check mongo.database and mongo.collection",
    )


def _stream(settings: Settings, source: MongoSource, newest: ClusterTime) -> Iterator[Finding]:
    with source.open(position_before(newest.next()), threading.Event(), by_time=False):
        yield Finding("ok", "rights", f"may read the change stream of {namespace_of(settings)}")
    source.ids.find([None])
    yield Finding("ok", "rights", "may look up job ids")


def _sweep(source: MongoSource) -> Iterator[Finding]:
    sweep = source.sweep()
    sweep.check_rights()
    yield Finding("ok", "sweep", "may take tags off")
    missing = sweep.missing_index()
    if missing:
        yield Finding(
            "warning",
            "sweep",
            f"the index {missing} is missing: each sweep looks at every job",
            "'job-bridge sweep --create-index' makes it",
        )
    else:
        yield Finding("ok", "sweep", "has an index that gives it what is tagged")


def _history(settings: Settings, source: MongoSource) -> Iterator[Finding]:
    if settings.recovery.on_history_lost == "stop":
        yield Finding("ok", "history", "not used: a lost history stops the bridge (exit 80)")
        return
    missing = source.history.missing_index()
    if source.profile.updated_field and not source.exists():
        yield Finding(
            "ok",
            "history",
            f"to be looked at when the collection exists: it wants an index on {source.profile.updated_field}",
        )
    elif missing:
        yield Finding(
            "warning",
            "history",
            f"no index on {missing}: after a lost history MongoDB would sort all jobs",
            f"make the index {missing} on the collection",
        )
    else:
        yield Finding(
            "ok", "history", "a gap can be read from the jobs, by an index on their last update"
        )
    if source.profile.transitions_field is None:
        yield Finding(
            "warning",
            "history",
            "jobs keep none: after a lost history only the latest state of each can be told",
        )


def _clock(newest: ClusterTime) -> Finding:
    ahead = newest.seconds - time.time()
    if ahead > 5:
        return Finding(
            "warning",
            "clock",
            f"MongoDB's newest write is {ahead:.0f} s in this machine's future",
            "latency metrics need both clocks right",
        )
    return Finding("ok", "clock", "agrees with MongoDB's, as far as can be seen")


def _checkpoint(
    settings: Settings, source: MongoSource, store: CheckpointStore
) -> Iterator[Finding]:
    store.check_rights()
    yield Finding("ok", "checkpoint", f"may be kept in {store.where}")
    stored = store.load()
    oldest, newest = source.cluster.oldest_oplog_entry(), source.cluster.last_write()
    yield _oplog(oldest, newest)
    identity, start = source.identity(), settings.start.from_
    if stored is None:
        first = first_position(start, identity.newest)
        yield Finding(
            "ok", "checkpoint", f"none yet: the first start begins with start.from = {start}"
        )
        yield _opens(settings, source, first, by_time=False)
        return
    if start != "now":
        yield Finding(
            "warning",
            "checkpoint",
            f"start.from = {start} is not used: there is a checkpoint",
            "nothing; 'job-bridge token clear' makes the next start a first one",
        )
    identity.admit(stored)
    admit_history(source, stored)
    yield Finding(
        "ok",
        "checkpoint",
        f"at {stored.position}, {identity.cluster_time.seconds - stored.position.cluster_time.seconds} s behind the newest write",
    )
    yield _opens(
        settings, source, stored.needed, by_time=stored.fingerprint != identity.fingerprint
    )


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
            f"{error.what}: what changed since is published from the jobs' own history first",
            "nothing; enlarge the oplog, that it reaches back further than the longest outage",
        )


def _oplog(oldest: ClusterTime | None, newest: ClusterTime | None) -> Finding:
    if oldest is None or newest is None:
        return Finding(
            "warning",
            "oplog",
            "its window cannot be seen",
            "grant serverStatus on the cluster, to be warned before history is lost",
        )
    hours = (newest.seconds - oldest.seconds) / _HOUR
    return Finding(
        "ok",
        "oplog",
        f"reaches back {hours:.1f} hours (an oplog that is not full yet reaches further each hour)",
    )


def _kafka(settings: Settings) -> Iterator[Finding]:
    name, dead_letters = settings.kafka.topic, f"{settings.kafka.topic}-dlq"
    driver = driver_of(settings)
    found = driver.topics(settings).describe(name, dead_letters)
    yield Finding("ok", "kafka", f"answers {driver} at {settings.kafka.bootstrap_servers}")
    if name not in found:
        yield _failure("topic", missing(name))
    else:
        yield from _topic(found[name])
    if settings.verify.every != "never" and name in found:
        for each in filter(found.__contains__, (name, dead_letters)):
            yield from _guarded("verify", partial(_readable, settings, driver, each))
    if dead_letters in found and not found[dead_letters].writable:
        yield Finding(
            "warning",
            "dead letters",
            f"this user may not write to {dead_letters}: a message that needs it would stop the bridge",
            "grant Write on it",
        )
    elif dead_letters in found:
        yield Finding(
            "ok",
            "dead letters",
            f"topic {dead_letters}, {found[dead_letters].partitions} partition(s)",
        )
    else:
        yield Finding(
            "warning",
            "dead letters",
            f"no topic {dead_letters}: a message that needs it would stop the bridge",
            "'job-bridge topics create'",
        )


def _readable(settings: Settings, driver: KafkaDriver, topic: str) -> Iterator[Finding]:
    with driver.reader(settings) as reader:
        reader.count(topic, time.time())
        for _ in reader.read(topic, time.time() - 1):
            break
    yield Finding("ok", "verify", f"may read {topic}")


def _topic(topic: Topic) -> Iterator[Finding]:
    yield Finding(
        "ok", "topic", f"{topic.name}, {topic.partitions} partition(s), {topic.replicas} replica(s)"
    )
    if not topic.writable:
        yield _failure("topic", unwritable(topic.name))
    if topic.max_message_bytes is None:
        yield Finding(
            "warning",
            "topic",
            "its settings cannot be seen; "
            f"max.message.bytes is taken to be {DEFAULT_MAX_MESSAGE_BYTES}",
            "grant DescribeConfigs on the topic",
        )
        return
    yield Finding("ok", "topic", f"max.message.bytes {topic.max_message_bytes}")
    needed = topic.min_insync_replicas or 1
    if needed > topic.replicas:
        yield Finding(
            "failure",
            "topic",
            f"min.insync.replicas {needed} with {topic.replicas} replica(s): no write can succeed",
            "lower the one or raise the other",
            75,
        )
    elif topic.replicas > 1 and needed < 2:
        yield Finding(
            "warning",
            "topic",
            f"min.insync.replicas {needed} with {topic.replicas} replicas: a message may be lost with one broker",
            "set min.insync.replicas to 2",
        )
    else:
        yield Finding(
            "ok", "topic", f"min.insync.replicas {needed} with {topic.replicas} replica(s)"
        )
    if topic.retention_ms is not None and topic.retention_ms >= 0:
        hours = topic.retention_ms / 1000 / _HOUR
        level, todo = (
            ("warning", "a consumer away for longer misses messages") if hours < 24 else ("ok", "")
        )
        yield Finding(level, "topic", f"keeps messages {hours:.0f} hours", todo)


def _http(settings: Settings) -> Iterator[Finding]:
    host, port = settings.http.host, settings.http.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", None) != errno.EADDRINUSE:
            raise unservable(host, port, error) from None
        yield Finding(
            "warning",
            "http",
            f"{host}:{port} is taken",
            "nothing, if by the running bridge: 'job-bridge status' asks it; else set http.port",
        )
    else:
        yield Finding("ok", "http", f"can be served on {host}:{port}")
