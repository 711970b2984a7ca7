"""The ways a bridge can deliver: a mode and a Kafka driver, and what each mode allows itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Way:
    """``rate`` is the most transitions a second it is asked to keep up with here; 0 is any.

    ``positions`` says whether it stores how far it came; if not, tags in the jobs do, which the
    simulated service must not touch then.
    """

    mode: str
    driver: str
    rate: int = 0
    positions: bool = True

    def __str__(self) -> str:
        return f"{self.mode}, {self.driver}"

    def settings(self) -> dict[str, str]:
        given = {"KAFKA_DRIVER": self.driver, "DELIVERY_MODE": self.mode}
        return (
            given
            if self.positions
            else given | {"SWEEP_EVERY_SECONDS": "2", "SWEEP_OLDER_THAN_SECONDS": "4"}
        )


AT_LEAST_ONCE_KAFKA_PYTHON = Way("at-least-once", "kafka-python")
AT_LEAST_ONCE_LIBRDKAFKA = Way("at-least-once", "librdkafka")
#: One message after the other, each stored: slower by nature. The other driver is tried by the modes above.
SYNCHRONOUS = Way("synchronous", "librdkafka", rate=50)
TAGS = Way("background-transitions", "kafka-python", positions=False)

#: For tests that ask a mode only to lose nothing and to keep the order.
EVERY_WAY = pytest.mark.parametrize(
    "way",
    [AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS, TAGS],
    indirect=True,
    ids=str,
)
#: And for what concerns the stored position.
WITH_POSITION = pytest.mark.parametrize(
    "way",
    [AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS],
    indirect=True,
    ids=str,
)
ONE_WAY = pytest.mark.parametrize("way", [AT_LEAST_ONCE_LIBRDKAFKA], indirect=True, ids=str)
