"""The view of a delivery mode on a session."""

from dataclasses import dataclass

from bridge.model.position import Position
from bridge.model.window import Window
from bridge.pipeline.context import PipelineContext
from bridge.pipeline.ports import BackgroundReaders


@dataclass(frozen=True, slots=True)
class ModeContext:
    """Each session has its own.

    Attributes:
        position: Where the session starts.
        in_flight: The window of the messages in flight, as the mode made it.
        pipeline: The objects that all parts share.
        readers: Reads slow iterators in the background.
        streams: Whether MongoDB has a change stream to read; known once the stream is open.
    """

    position: Position
    in_flight: Window
    pipeline: PipelineContext
    readers: BackgroundReaders
    streams: bool = True
