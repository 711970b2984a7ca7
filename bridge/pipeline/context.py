"""The objects that all parts of a pipeline share."""

from dataclasses import dataclass, field

from bridge.clock import Clock
from bridge.model.sent import SentPositions
from bridge.observability.counters import Counters
from bridge.observability.recent import RecentDeliveries
from bridge.pipeline.pulse import Pulse


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """Shared by all parts of a bridge, or of a command that publishes.

    Attributes:
        pulse: How the parts wait, with the clock.
        counters: Numbers for the metrics; no part decides by them.
        recent: The last deliveries, for readers of the status; no part decides by them.
        sent: The positions that were handed to a sink in the life of this bridge.
    """

    pulse: Pulse
    counters: Counters = field(default_factory=Counters)
    recent: RecentDeliveries = field(default_factory=RecentDeliveries)
    sent: SentPositions = field(default_factory=SentPositions)

    @property
    def clock(self) -> Clock:
        """The clocks of the bridge."""
        return self.pulse.clock
