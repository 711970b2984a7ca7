"""Leaves out the messages that the topic already has."""

from collections.abc import Sequence

from bridge.model.position import Position
from bridge.model.window import Delivery, Sending
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ledger import Ledger, digest_of, key_digest
from bridge.pipeline.ports import Sink

#: Ends the digest of a message that this session sent itself.
_OWN = b"own"


class OmittingSink:
    """A sink that omits the messages of the topic; see :class:`bridge.pipeline.ports.Sink`.

    - Once a message of a key is sent, all later messages of that key are sent: a topic that lost a
      part of its messages, as compaction does, must not end with an old state of a job.
    - Dead letters are sent always.
    - After the position ``until`` it hands everything on and keeps no ledger.

    Args:
        sink: The wrapped sink.
        ledger: The messages of the topic.
        context: Counts the omitted messages, and knows the highest position that was sent.
        topic: The topic of the ledger.
        until: The topic can have messages up to this position; None while a recovery runs, whose
            own messages are noted then, because the stream after it repeats some of them.
    """

    def __init__(
        self,
        sink: Sink,
        ledger: Ledger,
        context: PipelineContext,
        *,
        topic: str,
        until: Position | None,
    ) -> None:
        self._sink = sink
        self._ledger: Ledger | None = ledger
        self._sent = context.sent
        self._counters = context.counters
        self._topic = topic
        self._present: list[Delivery] = []
        self.until = until
        self.max_message_bytes = sink.max_message_bytes

    @property
    def broken(self) -> bool:
        return self._sink.broken

    def send(self, sendings: Sequence[Sending]) -> None:
        if self._ledger is not None:
            sendings = self._absent(sendings, self._ledger)
        self._sink.send(sendings)

    def settled(self) -> Sequence[Delivery]:
        if self._present:
            present, self._present = self._present, []
            return present
        return self._sink.settled()

    def close(self) -> None:
        """Forget the ledger: everything is sent from now on."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _absent(self, sendings: Sequence[Sending], ledger: Ledger) -> list[Sending]:
        """Return the messages that the topic does not have."""
        absent: list[Sending] = []
        noted: set[bytes] = set()
        for sending in sendings:
            (topic, key, value, headers), delivery = sending
            if topic != self._topic:
                absent.append(sending)
                continue
            digest, of_key = digest_of(key, value, headers), key_digest(key)
            own = digest + _OWN
            was_sent = of_key in noted or of_key in ledger
            if own in noted or own in ledger or (digest in ledger and not was_sent):
                self._present.append(delivery)
                if absent and absent[-1][1].position is None:
                    # A dead letter of the same event: it is the last message that is sent.
                    absent[-1][1].position = delivery.position
            else:
                absent.append(sending)
                noted.add(of_key)
                if self.until is None:
                    noted.add(own)
        ledger.add(noted)
        self._counters.left_out += len(sendings) - len(absent)
        if self.until is not None and self._sent.highest > self.until:
            self.close()
        return absent
