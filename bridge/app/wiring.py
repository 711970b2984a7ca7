"""Makes the parts that the service and the commands share, as the settings ask for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bridge.checkpoint.file import FileCheckpointStore
from bridge.checkpoint.none import NullCheckpointStore
from bridge.clock import Clock, SystemClock
from bridge.kafka.drivers import driver_of
from bridge.model.message import MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.position import ClusterTime, position_before
from bridge.model.profile import namespace_of, profile_of
from bridge.model.window import Window
from bridge.mongo.checkpoints import MongoCheckpointStore
from bridge.mongo.client import Client, state_client
from bridge.mongo.source import MongoSource
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import CheckpointStore, Sink
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.republisher import Republisher
from bridge.settings import Settings


def make_message_format(settings: Settings) -> MessageFormat:
    """The shape of messages."""
    return MessageFormat(
        settings.kafka.topic,
        f"job-bridge/{namespace_of(settings)}",
        cloudevents=settings.kafka.headers == "cloudevents",
    )


def make_source(settings: Settings, client: Client) -> MongoSource:
    """The jobs collection; to be closed, ``client`` stays with the caller."""
    return MongoSource(settings, profile_of(settings), client)


def make_store(settings: Settings, client: Client) -> CheckpointStore:
    """The checkpoint store; ``client`` stays with the caller."""
    chosen = settings.checkpoint
    if settings.keeps_no_position:
        return NullCheckpointStore(chosen.name)
    if chosen.store == "file":
        return FileCheckpointStore(Path(chosen.file), chosen.name)
    return MongoCheckpointStore(client, chosen.database, chosen.name, chosen.lease_seconds)


def make_publisher(
    settings: Settings,
    sink: Sink,
    window: Window,
    form: MessageFormat,
    brake: DeadLetterBrake,
    clock: Clock,
    counters: Counters,
) -> Publisher:
    """What hands messages to ``sink``; ``brake`` outlives it, since it counts an hour's dead letters."""
    oversize = settings.kafka.on_oversize == "dead-letter"
    return Publisher(sink, window, form, brake, clock, counters, set_aside_oversize=oversize)


@contextmanager
def open_source_and_store(settings: Settings) -> Iterator[tuple[MongoSource, CheckpointStore]]:
    """The source and the checkpoint store for a command, closed afterwards."""
    with state_client(settings) as client, closing(make_source(settings, client)) as source:
        yield source, make_store(settings, client)


@contextmanager
def open_republisher(
    settings: Settings,
    stop: threading.Event,
    rate: float = 0.0,
    around: Callable[[Sink], Sink] = lambda sink: sink,
) -> Iterator[Republisher]:
    """A producer for a command, and what publishes with it; closed afterwards. ``around`` is what a mode puts around a sink."""
    wake, clock, counters, form = (
        threading.Event(),
        SystemClock(),
        Counters(),
        make_message_format(settings),
    )
    with driver_of(settings).sink(settings, form.dead_letter_topic, wake) as driver:
        sink = around(driver)
        window = Window(
            position_before(ClusterTime(0)),
            settings.delivery.window_messages,
            settings.delivery.window_bytes,
        )
        publisher = make_publisher(
            settings,
            sink,
            window,
            form,
            DeadLetterBrake(settings.delivery.dead_letters_per_hour),
            clock,
            counters,
        )
        yield Republisher(
            sink,
            publisher,
            window,
            wake,
            stop,
            clock,
            counters,
            drain_seconds=settings.delivery.drain_seconds,
            rate=rate,
            complaint=driver.complaint,
        )
