"""A topic of a soak and the bridges that fill it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import giving_up_kafka
from tests.support.bridge_process import COMMAND, BridgeProcess
from tests.support.read_back import LEFT_OUT
from tests.support.verification_results import verify

DRIVERS = ("kafka-python", "librdkafka")
#: For the transitions of hours.
VERIFY_SECONDS = 1800.0


@dataclass
class Lane:
    """One topic and the bridges that fill it."""

    name: str
    topic: str
    bridges: list[BridgeProcess]
    lives: int = 0
    exits: Counter[int] = field(default_factory=Counter)
    left_out: dict[int, float] = field(default_factory=dict)
    samples: list[dict[str, float]] = field(default_factory=list)
    counted_twice: str = ""

    def start(self, bridge: BridgeProcess) -> None:
        """Start a life; in the lane ``killed`` with the other driver, and perhaps impatient."""
        self.lives += 1
        if self.name not in DRIVERS:
            bridge.configure(kafka__driver=DRIVERS[self.lives % 2])
        bridge.start(random.choice((COMMAND, giving_up_kafka.COMMAND)))

    def tend(self) -> None:
        """Restart what has ended, as a supervisor would, and note how it ended."""
        for bridge in self.bridges:
            if not bridge.running:
                self.exits[bridge.wait()] += 1
                self.start(bridge)

    def active(self) -> BridgeProcess | None:
        """The bridge that is ready; None while no bridge is ready."""
        return next((bridge for bridge in self.bridges if bridge.running and bridge.ready()), None)

    def count_late(self) -> None:
        """Count late transitions by the bridge, whose life must be whole, and by ``verify``."""
        bridge = self.active()
        if bridge is None or self.lives > 1:
            return
        name = "job_bridge_delivery_latency_seconds"
        metrics = bridge.metrics()
        count = metrics[f"{name}_count"]
        late = count - metrics[f'{name}_bucket{{le="1.0"}}']
        settings = {**bridge.settings, "verify.settle_seconds": "0"}
        found = verify(settings, "--since", "24h", seconds=VERIFY_SECONDS)
        difference = abs(late / count - found["late"] / found["transitions"])
        self.counted_twice = (
            f"late: {late:.0f} of {count:.0f} by the bridge, "
            f"{found['late']} of {found['transitions']} by verify, "
            f"shares {difference:.2%} apart; "
        )

    def sample(self) -> None:
        bridge = self.active()
        if bridge is None:
            return
        process = Path(f"/proc/{bridge.pid}")
        try:
            self.left_out[bridge.pid] = bridge.metrics().get(LEFT_OUT, 0.0)
            self.samples.append(
                {
                    "MB": bridge.resident_bytes() / 1e6,
                    "threads": float(len(list((process / "task").iterdir()))),
                    "descriptors": float(len(list((process / "fd").iterdir()))),
                }
            )
        except OSError:
            pass  # it has just ended
