"""Builds the objects that bridges and commands share, by the settings."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bridge.app.background import Background
from bridge.app.lifecycle import Lifecycle
from bridge.app.read_back import ReadBack
from bridge.app.retry import Retry
from bridge.app.until_now import UntilNow
from bridge.checkpoint.file import FileCheckpointStore
from bridge.checkpoint.none import NullCheckpointStore
from bridge.clock import Clock, SystemClock
from bridge.delivery.modes import Mode
from bridge.kafka.drivers import KafkaDriver, driver_of
from bridge.kafka.timeouts import GROUP_SESSION_SECONDS
from bridge.model.checkpoint import Checkpoint
from bridge.model.checkpoint_name import with_checkpoint_name
from bridge.model.message import MessageFormat
from bridge.model.policy import DeadLetterBrake
from bridge.model.position import ClusterTime, position_before
from bridge.model.profile import namespace_of, profile_of
from bridge.model.window import Window
from bridge.mongo.checkpoints import MongoCheckpointStore
from bridge.mongo.client import Client, ReplaceableClient, state_client
from bridge.mongo.source import MongoSource
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import CheckpointStore, Sink
from bridge.pipeline.progress import Progress
from bridge.pipeline.publisher import Publisher
from bridge.pipeline.pulse import Pulse
from bridge.pipeline.republisher import Republisher
from bridge.pipeline.stall_warning import REPLACE_SECONDS, StallWarning
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.kafka.librdkafka.checkpoints import KafkaCheckpointStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """The objects of a bridge that all its sessions use.

    ``until`` ends the bridge by itself; None where it works until it is stopped.
    """

    settings: Settings
    driver: KafkaDriver
    source: MongoSource
    read_back: ReadBack
    mode: Mode
    context: PipelineContext
    background: Background
    brake: DeadLetterBrake
    lifecycle: Lifecycle
    retry: Retry
    stall: StallWarning
    until: UntilNow | None = None


def source_name(settings: Settings) -> str:
    """Return the CloudEvents source of the messages."""
    return f"job-bridge/{namespace_of(settings)}"


def make_message_format(settings: Settings) -> MessageFormat:
    """Return the format of messages."""
    return MessageFormat(
        settings.kafka.topic,
        source_name(settings),
        cloudevents=settings.kafka.headers == "cloudevents",
    )


def make_source(settings: Settings, client: ReplaceableClient) -> MongoSource:
    """Return the jobs collection, to be closed; ``client`` stays with the caller."""
    return MongoSource(settings, profile_of(settings), client)


def make_store(settings: Settings, client: Client) -> CheckpointStore:
    """Return the checkpoint store; ``client`` stays with the caller.

    Raises:
        Misconfigured: The store needs a library that is not installed.
    """
    is_default_name = not settings.checkpoint.name
    settings = with_checkpoint_name(settings)
    checkpoint = settings.checkpoint
    if settings.keeps_no_position:
        return NullCheckpointStore(checkpoint.name)
    if checkpoint.store == "kafka":
        dead_letters = make_message_format(settings).dead_letter_topic
        return driver_of(settings).checkpoint_store(settings, dead_letters)
    if checkpoint.store == "file":
        return FileCheckpointStore(
            Path(checkpoint.file), checkpoint.name, is_default_name=is_default_name
        )
    return MongoCheckpointStore(
        client,
        checkpoint.database,
        checkpoint.name,
        lease_seconds=checkpoint.lease_seconds,
        is_default_name=is_default_name,
    )


def make_driver(settings: Settings, store: CheckpointStore) -> KafkaDriver:
    """Return the driver; in exactly-once its sinks send with the producer of ``store``."""
    driver = driver_of(settings)
    if settings.delivery.mode != "exactly-once":
        return driver
    return replace(driver, sink=cast("KafkaCheckpointStore", store).sink)


def make_progress(
    parts: SessionParts, store: CheckpointStore, checkpoint: Checkpoint, executor: Executor
) -> Progress:
    """Return the writer of a checkpoint that was read from ``store``; saves run on ``executor``."""
    settings = parts.settings.checkpoint
    is_group = settings.store == "kafka"
    lease_seconds = GROUP_SESSION_SECONDS if is_group else settings.lease_seconds
    return Progress(
        store,
        checkpoint,
        parts.mode.policy,
        renew_seconds=lease_seconds / 3,
        context=parts.context,
        executor=executor,
    )


def make_brake(settings: Settings) -> DeadLetterBrake:
    """Return the brake for dead letters; it outlives publishers, as it counts those of an hour."""
    return DeadLetterBrake(settings.delivery.dead_letters_per_hour)


def make_stall_warning(clock: Clock, mode: Mode) -> StallWarning:
    """Return the watch for a Kafka client that acknowledges nothing."""
    return StallWarning(
        clock,
        mode.stall_consequence,
        replace_seconds=REPLACE_SECONDS,
        replaced=mode.replaced_consequence,
    )


def make_publisher(
    settings: Settings,
    sink: Sink,
    window: Window,
    *,
    brake: DeadLetterBrake,
    context: PipelineContext,
) -> Publisher:
    """Return a publisher for ``sink``."""
    return Publisher(
        sink,
        window,
        make_message_format(settings),
        brake=brake,
        context=context,
        dead_letter_oversize=settings.kafka.on_oversize == "dead-letter",
    )


@contextmanager
def open_source_and_store(settings: Settings) -> Iterator[tuple[MongoSource, CheckpointStore]]:
    """Open the source and the checkpoint store for a command."""
    with (
        closing(state_client(settings)) as client,
        closing(make_source(settings, client)) as source,
    ):
        yield source, make_store(_for_command(settings), client)


@contextmanager
def open_store(settings: Settings, store: str) -> Iterator[CheckpointStore]:
    """Open another checkpoint store than that of the settings, for a command.

    Args:
        settings: The settings, of which each store uses its own.
        store: The value of ``checkpoint.store``.
    """
    checkpoint = settings.checkpoint.model_copy(update={"store": store})
    other = _for_command(settings.model_copy(update={"checkpoint": checkpoint}))
    with closing(state_client(other)) as client:
        yield make_store(other, client)


@contextmanager
def open_group_store(settings: Settings) -> Iterator["KafkaCheckpointStore"]:
    """Open the store in Kafka for a command that only reads; MongoDB is not asked."""
    settings = _for_command(with_checkpoint_name(settings))
    store = driver_of(settings).checkpoint_store(settings, None)
    try:
        yield store
    finally:
        store.release()


def _for_command(settings: Settings) -> Settings:
    """Return settings without a static member, whose place in its group a command would take."""
    checkpoint = settings.checkpoint.model_copy(update={"instance": ""})
    return settings.model_copy(update={"checkpoint": checkpoint})


def _unwrapped(sink: Sink) -> Sink:
    return sink


@contextmanager
def open_republisher(
    settings: Settings,
    stop: threading.Event,
    rate: float = 0.0,
    wrap: Callable[[Sink], Sink] = _unwrapped,
) -> Iterator[Republisher]:
    """Open a producer for a command.

    Args:
        settings: The settings.
        stop: Ends the work when it is set.
        rate: Maximum number of events per second; 0 for no limit.
        wrap: Wraps the sink as a delivery mode does.
    """
    context = PipelineContext(Pulse(SystemClock(), stop=stop))
    dead_letters = make_message_format(settings).dead_letter_topic
    delivery = settings.delivery
    with driver_of(settings).sink(settings, dead_letters, context.pulse.wake) as driver:
        start = position_before(ClusterTime(0))
        window = Window(start, delivery.window_messages, delivery.window_bytes)
        publisher = make_publisher(
            settings, wrap(driver), window, brake=make_brake(settings), context=context
        )
        yield Republisher(
            publisher, driver, context, drain_seconds=delivery.drain_seconds, rate=rate
        )
