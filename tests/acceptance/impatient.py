"""Starts the bridge as ``python -m bridge`` does, but with a Kafka client that gives messages up, as it does by default."""

from __future__ import annotations

import sys

from bridge.cli import main
from bridge.sink import client, producer

COMMAND = ("tests.acceptance.impatient", "run")
REQUEST_SECONDS = 2
#: The client's own default is two minutes.
GIVE_UP_SECONDS = 5

if __name__ == "__main__":
    client.REQUEST_MS = 1000 * REQUEST_SECONDS
    producer.NEVER_MS = 1000 * GIVE_UP_SECONDS
    sys.argv[0] = "job-bridge"
    main()
