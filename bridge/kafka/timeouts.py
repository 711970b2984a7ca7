"""Timeouts and batch size of all Kafka clients; each driver maps them to its own options."""

#: How long to look for a first broker.
BOOTSTRAP_SECONDS = 10.0
#: How long a server may take to accept a connection, with TLS and login; then comes the next.
CONNECT_SECONDS = 2.0
#: The same after several failures, for slow networks.
MAX_CONNECT_SECONDS = 10.0
#: An unanswered request closes the connection after this time; its batch is sent again, once.
REQUEST_SECONDS = 15.0
#: The longest pause between attempts to connect, so that the end of an outage is noticed soon.
RECONNECT_SECONDS = 2.0
#: The largest age of the client's view of topics and leaders: a deleted topic is noticed soon.
METADATA_SECONDS = 8.0
#: When the client gives up a message: never, as a later message of its job may be written.
GIVE_UP_SECONDS: float | None = None
#: A batch of this size is sent at once.
BATCH_BYTES = 262_144
#: How long a sink that is left waits for the answers to the requests in flight.
ANSWER_SECONDS = 1.0
#: A topic counts as unreachable after this time without a record, if some are unread.
SILENT_TOPIC_SECONDS = 30.0
#: How long to wait at the end of a topic for messages that a dead producer had on the wire.
LATE_SECONDS = 0.05
#: After this time a broker aborts an open transaction, which withholds all later messages of its
#: partitions from readers of committed messages. It must exceed the deadline of a commit.
TRANSACTION_SECONDS = 15.0
#: The deadline for taking over a transactional id, and for the answer to a commit.
INIT_SECONDS = 10.0
COMMIT_SECONDS = 10.0
#: An unanswered commit is repeated after this time, until its deadline.
COMMIT_CALL_SECONDS = 3.0
#: An unanswered request of a transactional producer closes the connection after this time.
TRANSACTION_REQUEST_SECONDS = 5.0
#: How long a client may take to close before it is abandoned.
CLOSE_SECONDS = 5.0


def milliseconds(seconds: float) -> int:
    """Convert to the unit of both clients."""
    return int(seconds * 1000)


#: How long a member of the owners' group may be silent before another owns its checkpoint. Kafka's
#: ``group.min.session.timeout.ms`` allows no less by default.
GROUP_SESSION_SECONDS = 6.0
