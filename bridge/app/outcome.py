"""How a bridge stopped."""

from dataclasses import dataclass

from bridge.errors import Retryable


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a bridge stopped.

    Attributes:
        unacknowledged: Messages that Kafka did not acknowledge in time; the next start sends them.
        stored: Whether the settled position is stored.
        lost: Messages that ``run --until now`` lost in fire-and-forget; no start sends them.
    """

    unacknowledged: int = 0
    stored: bool = True
    lost: int = 0

    def __str__(self) -> str:
        unclean = [f"{self.unacknowledged} messages unacknowledged"] if self.unacknowledged else []
        unclean += [] if self.stored else ["position not stored"]
        unclean += [f"{self.lost} messages lost"] if self.lost else []
        return ", ".join(unclean) or "clean"

    @property
    def exit_code(self) -> int:
        clean = self.stored and not (self.unacknowledged or self.lost)
        return 0 if clean else Retryable.exit_code
