"""How patient the bridge is with Kafka, and how large its batches are: said once, mapped by each driver to its own names."""

#: How long to look for a first broker.
BOOTSTRAP_SECONDS = 10.0
#: A request without an answer for so long closes the connection; the batch is sent again, once.
REQUEST_SECONDS = 15.0
#: After a long outage the first try must not be half a minute away.
RECONNECT_SECONDS = 2.0
#: How old the client's view of topics and leaders may be.
METADATA_SECONDS = 60.0
#: When the client gives a message up: never, since a later one of its job may already be there.
GIVE_UP_SECONDS: float | None = None
#: A batch is sent when it is so large, at the latest; what it waits for else is each driver's to say.
BATCH_BYTES = 262_144
#: How long a client may take to close before it is left behind.
CLOSE_SECONDS = 5.0


def milliseconds(seconds: float) -> int:
    """Both clients count in milliseconds."""
    return int(seconds * 1000)
