"""Reads the topic back before a session sends, so that nothing is sent twice."""

import logging
import math
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from bridge.app.background import Background
from bridge.clock import Clock, iso
from bridge.errors import CheckpointUnusable, ReadRefused
from bridge.hints import Hint
from bridge.kafka.drivers import KafkaDriver
from bridge.logs.recent_warnings import LogText
from bridge.model.checkpoint_name import with_checkpoint_name
from bridge.model.message import Record, fields_of
from bridge.model.topic_offsets import TopicOffsets
from bridge.model.transition import NOTIFY, REPLAY, RETRY
from bridge.pipeline.ledger import Ledger
from bridge.pipeline.ports import AcknowledgedOffsets
from bridge.pipeline.progress import Progress
from bridge.settings import Settings

logger = logging.getLogger("bridge")

#: The last records of each partition that are looked at for messages of this bridge.
_LATEST = 100
#: How far the clocks of MongoDB, Kafka and this host may differ where no offset is known.
_CLOCK_SECONDS = 300.0
_SOURCE_HEADER = "ce_source"


@dataclass(frozen=True, slots=True)
class TopicTail:
    """The messages after a position that the topic has.

    Attributes:
        ledger: To be closed.
        ends: The offsets after them.
    """

    ledger: Ledger
    ends: TopicOffsets


class ReadBack:
    """Reads the topic of a bridge back, for its sessions.

    A session needs it when an earlier session, of this process or of another, may have sent
    messages after the settled position: after anything but a clean stop.

    Args:
        settings: The settings.
        driver: Makes the readers.
        background: Runs the reading, which may take seconds.
        clock: Measures it.
        source: The CloudEvents source of this bridge's messages.
    """

    def __init__(
        self,
        settings: Settings,
        driver: KafkaDriver,
        background: Background,
        *,
        clock: Clock,
        source: str,
    ) -> None:
        self._settings = settings
        self._driver = driver
        self._background = background
        self._clock = clock
        self._source = source.encode()
        self._is_refused = False

    def tail(self, progress: Progress, sink: AcknowledgedOffsets) -> TopicTail | None:
        """Return the messages of later positions that the topic has; None if it is not read.

        Raises:
            CheckpointUnusable: There is no checkpoint, but the topic has messages of this bridge.
            BridgeError: Kafka does not answer.
        """
        if self._settings.kafka.read_back == "off" or self._settings.keeps_no_position:
            return None
        try:
            if progress.stored.unconfirmed:
                self._background.call(self._refuse_second_start)
            if not progress.may_have_sent:
                return None
            return self._background.call(lambda: self._read(progress, sink))
        except ReadRefused as error:
            if not self._is_refused:
                self._is_refused = True
                todo = (
                    "Messages that were sent after the last checkpoint are sent again; with "
                    "kafka.read_back = off this is not tried"
                )
                state = "the topic cannot be read back"
                logger.warning(LogText(state, f": {error.what}", todo=todo))
            return None

    def _read(self, progress: Progress, sink: AcknowledgedOffsets) -> TopicTail:
        offsets = progress.offsets.of_topic(sink.topic_id)
        starts, since = self._start(progress, offsets)
        started = self._clock.monotonic()
        count = 0
        with ExitStack() as after_failure, self._driver.tail_reader(self._settings) as reader:
            ledger = after_failure.enter_context(closing(Ledger()))
            for records in reader.read_from(self._settings.kafka.topic, starts, since):
                count += len(records)
                ledger.add_records(records)
            ends = TopicOffsets(sink.topic_id, reader.ends)
            after_failure.pop_all()
        logger.info(
            "read %d messages of the topic %s back in %.2f s: they are not sent again",
            count,
            self._settings.kafka.topic,
            self._clock.monotonic() - started,
        )
        return TopicTail(ledger, ends)

    def _start(
        self, progress: Progress, offsets: TopicOffsets
    ) -> tuple[Mapping[int, int], float | None]:
        """Return offsets to start at, and the Unix seconds for partitions without an offset."""
        gap = progress.gap
        if gap is None:
            # The cluster time stays ahead after a server's clock was ahead. The messages of later
            # positions were in flight at the save, or were sent after it.
            saved_at = progress.stored.saved_at or math.inf
            since = min(progress.position.cluster_time.seconds, saved_at)
            return offsets.by_partition, since - _CLOCK_SECONDS
        # The clock of a transition's writer may be as far ahead as another's is late.
        margin = self._settings.recovery_margin
        return {}, None if gap.since is None else gap.since - margin - _CLOCK_SECONDS

    def _refuse_second_start(self) -> None:
        """Raise ``CheckpointUnusable`` if the topic shows that this bridge has run before."""
        with self._driver.tail_reader(self._settings) as reader:
            records = reader.latest(self._settings.kafka.topic, _LATEST)
        ours = [record for record in records if (_SOURCE_HEADER, self._source) in record.headers]
        if ours:
            latest = max(ours, key=lambda record: record.timestamp)
            raise missing_checkpoint_error(with_checkpoint_name(self._settings), latest)


def missing_checkpoint_error(settings: Settings, latest: Record) -> CheckpointUnusable:
    """The topic has messages of this bridge, but there is no checkpoint.

    Args:
        settings: The settings.
        latest: The latest message.
    """
    fields = fields_of(latest.value) or {}
    job_id, time = str(fields.get("job_id"))[:100], str(fields.get("time"))[:40]
    by_command = dict(latest.headers).get("ce_origin") in (REPLAY, NOTIFY, RETRY)
    # Messages before the latest may have been in flight when the bridge died.
    resume = iso(max(0.0, latest.timestamp - settings.recovery_margin))
    return CheckpointUnusable(
        f"There is no checkpoint '{settings.checkpoint.name}', but the topic "
        f"{settings.kafka.topic} has messages of this bridge, the latest of job {job_id} at "
        f"{time}: "
        "the checkpoint was removed, or checkpoint.name or checkpoint.store has changed"
        + ", or this is the first start and a command sent them"
        * by_command,
        "Nothing was read or sent: a start at the present would skip all transitions since then",
        f"To resume before the messages end: '{Hint.TOKEN_SET_TIME.with_value(resume)}'; the next "
        f"start leaves out what the topic has. To skip them: '{Hint.TOKEN_CLEAR}'. "
        "Otherwise correct checkpoint.name, checkpoint.store or kafka.topic; "
        f"'{Hint.TOKEN_MOVE}' with the former checkpoint.store and delivery.mode moves the "
        "checkpoint",
    )
