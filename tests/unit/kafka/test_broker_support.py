"""Which brokers are too old for transactions, as librdkafka's log says."""

from __future__ import annotations

import logging

import pytest

from bridge.kafka.librdkafka.broker_support import SupportLogger
from bridge.kafka.librdkafka.client import make_latest_warning

#: As librdkafka 2.16 logs it.
LINE = (
    "APIVERSION [rdkafka#producer-1] [thrd:TxnCoordinator]: TxnCoordinator/1:   "
    "ApiKey InitProducerId (22) Versions 0..{}"
)


@pytest.mark.parametrize(
    ("version", "too_old"), [(3, "TxnCoordinator/1"), (4, ""), (5, ""), (12, "")]
)
def test_an_old_broker_is_noted(version: int, too_old: str) -> None:
    logger = SupportLogger(make_latest_warning())

    logger.debug(LINE.format(version))

    assert logger.too_old == too_old
    assert logger.known


def test_other_brokers_do_not_hide_it() -> None:
    logger = SupportLogger(make_latest_warning())

    logger.debug(LINE.format(3))
    logger.debug(LINE.format(5).replace("TxnCoordinator/1", "kafka:9092/2"))

    assert logger.too_old == "TxnCoordinator/1"


def test_only_warnings_are_remembered() -> None:
    latest_warning = make_latest_warning()
    logger = SupportLogger(latest_warning)
    logger.debug(LINE.format(5))
    logger.info("an info")
    assert latest_warning.recent() == ""

    logger.log(logging.WARNING, "a warning")

    assert latest_warning.recent() == "a warning"
