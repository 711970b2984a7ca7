"""Reads from librdkafka's log which requests a broker supports; it has no other way to ask."""

import logging
import re

from bridge.kafka.client_log import LatestWarning
from bridge.kafka.librdkafka.client import ClientLogger

#: The value of librdkafka's ``debug`` that logs the supported requests of each new connection.
DEBUG = "feature"
#: As in ``TxnCoordinator/1:   ApiKey InitProducerId (22) Versions 0..5``.
_SUPPORT = re.compile(r"(\S+):\s+ApiKey InitProducerId \(22\) Versions \d+\.\.(\d+)")
#: Kafka 2.7 added it (KIP-588). With older brokers a fenced producer may get a new epoch.
_FENCING_VERSION = 4


class SupportLogger(ClientLogger):
    """A client's logger that also notes a broker whose transactions do not fence.

    Attributes:
        too_old: The address of such a broker, else empty.
        known: Whether any broker reported its supported requests.
    """

    def __init__(self, latest_warning: LatestWarning) -> None:
        super().__init__(latest_warning)
        self.too_old = ""
        self.known = False
        self.setLevel(logging.DEBUG)

    def handle(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            super().handle(record)
            return
        support = _SUPPORT.search(record.getMessage())
        if support is not None:
            self.known = True
            if int(support[2]) < _FENCING_VERSION:
                self.too_old = support[1]
