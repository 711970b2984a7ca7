"""``python -m bridge`` with a Kafka client that gives up messages soon, as by default."""

from __future__ import annotations

import sys

from bridge.cli import main
from bridge.kafka import timeouts

COMMAND = ("tests.support.giving_up_kafka", "run")
REQUEST_SECONDS = 2.0
#: The client's own default is two minutes.
GIVE_UP_SECONDS = 5.0

if __name__ == "__main__":
    timeouts.REQUEST_SECONDS = REQUEST_SECONDS
    timeouts.GIVE_UP_SECONDS = GIVE_UP_SECONDS
    sys.argv[0] = "job-bridge"
    main()
