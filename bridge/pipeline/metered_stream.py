"""Notes how far a stream was read."""

from bridge.model.position import Position
from bridge.model.transition import Batch
from bridge.pipeline.ports import Stream


class MeteredStream:
    """A stream around another; see :class:`bridge.pipeline.ports.Stream`.

    Attributes:
        reached: The position up to which events were read.
    """

    def __init__(self, stream: Stream, start: Position) -> None:
        self._stream = stream
        self.reached = start

    def read(self) -> Batch | None:
        batch = self._stream.read()
        if batch is not None:
            self.reached = batch.position
        return batch
