"""The ways a bridge can deliver: a mode, a Kafka driver, and the limits of the mode."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class DeliveryCase:
    """``rate`` is the load in transitions per second that the mode is asked for; 0 is any.

    ``positions``: whether the mode stores positions. If not, it keeps tags in the jobs, which the
    simulated service must then leave alone. ``more``: further settings of the mode.
    """

    mode: str
    driver: str
    rate: int = 0
    positions: bool = True
    more: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        where = ", position in Kafka" if self.store == "kafka" and not self.transactional else ""
        return f"{self.mode}, {self.driver}{where}"

    @property
    def store(self) -> str:
        """The checkpoint store."""
        return dict(self.more).get("checkpoint.store", "mongo")

    @property
    def transactional(self) -> bool:
        """Whether messages are sent in transactions: consumers must read committed ones only."""
        return self.mode == "exactly-once"

    @property
    def isolation(self) -> str:
        """The isolation level at which the topic is judged."""
        return "read_committed" if self.transactional else "read_uncommitted"

    def settings(self) -> dict[str, str]:
        given = {"kafka.driver": self.driver, "delivery.mode": self.mode, **dict(self.more)}
        if self.positions:
            return given
        return given | {"sweep.every_seconds": "2", "sweep.older_than_seconds": "4"}


AT_LEAST_ONCE_KAFKA_PYTHON = DeliveryCase("at-least-once", "kafka-python")
AT_LEAST_ONCE_LIBRDKAFKA = DeliveryCase("at-least-once", "librdkafka")
#: Slow by nature: it stores the position after each message.
SYNCHRONOUS = DeliveryCase("synchronous", "librdkafka", rate=50)
#: Stores positions ahead of the acknowledgements, and may lose messages in an outage.
FIRE_AND_FORGET = DeliveryCase("fire-and-forget", "librdkafka")
#: The bridge sets the tags, so it keeps the position too.
OWN_TAGS = DeliveryCase(
    "background-jobs",
    "librdkafka",
    more=(("sweep.job_tag", "to_notify"), ("sweep.tagged_by", "bridge")),
)
_KAFKA_STORE = (("checkpoint.store", "kafka"),)
EXACTLY_ONCE = DeliveryCase("exactly-once", "librdkafka", more=_KAFKA_STORE)
AT_LEAST_ONCE_IN_KAFKA = DeliveryCase("at-least-once", "librdkafka", more=_KAFKA_STORE)
TAGS = DeliveryCase("background-transitions", "kafka-python", positions=False)


def delivery_cases(*cases: DeliveryCase) -> pytest.MarkDecorator:
    """Run a test once with each of ``cases``."""
    return pytest.mark.parametrize("delivery_case", cases, indirect=True, ids=str)


#: For tests that require of a mode only that it loses nothing and keeps the order.
EVERY_DELIVERY = delivery_cases(
    AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS, EXACTLY_ONCE, TAGS
)
#: For faults of MongoDB, in which the Kafka driver plays no part.
EVERY_MODE = delivery_cases(AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS, TAGS)
#: For tests of the stored position in which the Kafka driver plays no part.
EVERY_POSITION_MODE = delivery_cases(AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS)
#: For tests of the position that MongoDB stores.
MONGO_POSITION_CASES = (AT_LEAST_ONCE_KAFKA_PYTHON, AT_LEAST_ONCE_LIBRDKAFKA, SYNCHRONOUS)
EVERY_MONGO_POSITION = delivery_cases(*MONGO_POSITION_CASES)
#: For tests of the stored position.
POSITION_CASES = (*MONGO_POSITION_CASES, EXACTLY_ONCE)
EVERY_POSITION = delivery_cases(*POSITION_CASES)
#: For tests of the position and the ownership that Kafka stores.
KAFKA_POSITION = delivery_cases(AT_LEAST_ONCE_IN_KAFKA, EXACTLY_ONCE)
ONLY_EXACTLY_ONCE = delivery_cases(EXACTLY_ONCE)
#: For tests in which neither the mode nor the driver plays a part.
ONE_DELIVERY = delivery_cases(AT_LEAST_ONCE_LIBRDKAFKA)
