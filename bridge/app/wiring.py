"""Makes the parts that the service and the commands share, as the settings ask for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bridge.checkpoint.file import FileCheckpoint
from bridge.checkpoint.none import NoCheckpoint
from bridge.clock import Clock, SystemClock
from bridge.kafka.drivers import driver_of
from bridge.model.message import MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.position import ClusterTime, position_from
from bridge.model.profile import namespace_of, profile_of
from bridge.model.window import Window
from bridge.mongo.checkpoints import MongoCheckpoints
from bridge.mongo.client import Client, state_client
from bridge.mongo.source import MongoSource
from bridge.observability.metrics import Counters
from bridge.pipeline.ports import CheckpointStore, Sink
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.republisher import Resend
from bridge.settings import Config


def make_form(config: Config) -> MessageFormat:
    """The shape of messages."""
    return MessageFormat(
        config.kafka.topic,
        f"job-bridge/{namespace_of(config)}",
        cloudevents=config.kafka.headers == "cloudevents",
    )


def make_source(config: Config, client: Client) -> MongoSource:
    """The jobs collection; to be closed, ``client`` stays with the caller."""
    return MongoSource(config, profile_of(config), client)


def make_store(config: Config, client: Client) -> CheckpointStore:
    """The checkpoint store; ``client`` stays with the caller."""
    chosen = config.checkpoint
    if config.keeps_no_position:
        return NoCheckpoint(chosen.name)
    if chosen.store == "file":
        return FileCheckpoint(Path(chosen.file), chosen.name)
    return MongoCheckpoints(client, chosen.database, chosen.name, chosen.lease_seconds)


def make_publisher(
    config: Config,
    sink: Sink,
    window: Window,
    form: MessageFormat,
    brake: DeadLetterBrake,
    clock: Clock,
    counters: Counters,
) -> Publisher:
    """What hands messages to ``sink``; ``brake`` outlives it, since it counts an hour's dead letters."""
    oversize = config.kafka.on_oversize == "dead-letter"
    return Publisher(sink, window, form, brake, clock, counters, set_aside_oversize=oversize)


@contextmanager
def opened(config: Config) -> Iterator[tuple[MongoSource, CheckpointStore]]:
    """The source and the checkpoint store for a command, closed afterwards."""
    with state_client(config) as client, closing(make_source(config, client)) as source:
        yield source, make_store(config, client)


@contextmanager
def resending(
    config: Config,
    stop: threading.Event,
    rate: float = 0.0,
    around: Callable[[Sink], Sink] = lambda sink: sink,
) -> Iterator[Resend]:
    """A producer for a command, and what publishes with it; closed afterwards. ``around`` is what a mode puts around a sink."""
    wake, clock, counters, form = threading.Event(), SystemClock(), Counters(), make_form(config)
    with driver_of(config).sink(config, form.dead_letter_topic, wake) as driver:
        sink = around(driver)
        window = Window(
            position_from(ClusterTime(0)),
            config.delivery.window_messages,
            config.delivery.window_bytes,
        )
        publisher = make_publisher(
            config,
            sink,
            window,
            form,
            DeadLetterBrake(config.delivery.dead_letters_per_hour),
            clock,
            counters,
        )
        yield Resend(
            sink,
            publisher,
            window,
            wake,
            stop,
            clock,
            counters,
            drain_seconds=config.delivery.drain_seconds,
            rate=rate,
            complaint=driver.complaint,
        )
