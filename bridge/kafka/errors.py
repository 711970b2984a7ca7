"""Verdicts on Kafka failures that both drivers share; each driver maps its own errors to these.

A failed message is never given up alone, because a later message of the same job may already be in
the topic. The producer that reported a failure is discarded, and a new producer sends all
unacknowledged messages again, in order.
"""

from collections.abc import Sequence

from bridge.errors import (
    RETRIED,
    BridgeError,
    Misconfigured,
    NotPermitted,
    PoisonEvent,
    ReadRefused,
    Retryable,
)
from bridge.hints import Hint
from bridge.kafka.connection_failures import NOTHING_LOST, connection_failure
from bridge.settings.hidden import hidden

_NOTHING_DONE = "Nothing was read or sent"
NOTHING_COMMITTED = (
    "Nothing is lost or repeated: the transaction is not visible to readers of committed messages, "
    "and its messages are sent again from the stored position"
)
_MAX_LENGTH = 400
_MAX_EXAMPLES = 3


def _version(parts: tuple[int, ...]) -> str:
    return ".".join(map(str, parts))


#: Other versions may differ in the private parts that ``kafka_python.patches`` uses.
FIRST_KAFKA_PYTHON = (3, 0, 12)
FIRST_UNSUPPORTED_KAFKA_PYTHON = (3, 1)
SUPPORTED_KAFKA_PYTHON = (
    f"kafka-python>={_version(FIRST_KAFKA_PYTHON)},<{_version(FIRST_UNSUPPORTED_KAFKA_PYTHON)}"
)


def unsupported_client_error(problem: str) -> Misconfigured:
    """kafka-python is missing or has an unsupported version."""
    return Misconfigured(
        f"{problem}; the bridge supports {SUPPORTED_KAFKA_PYTHON}",
        _NOTHING_DONE,
        f"pip install '{SUPPORTED_KAFKA_PYTHON}'",
    )


#: The text of a client that got no token; librdkafka's own.
LOGIN_FAILED = "Failed to acquire SASL OAUTHBEARER token"


def token_error(text: str) -> Retryable:
    """A running client got no token; the next client shows whether waiting is useless."""
    return Retryable(
        f"The login at Kafka got no token: {text}",
        NOTHING_LOST,
        f"Check the token endpoint (kafka.sasl_oauth_token_url). {RETRIED}",
        part="kafka",
    )


def permission_error(text: str) -> NotPermitted:
    """The broker does not authenticate or authorize this user."""
    return NotPermitted(
        f"Kafka refuses this user: {text}",
        NOTHING_LOST,
        "Check kafka.sasl_* and the ACLs: Describe and Write on the topic and its -dlq",
        part="kafka",
    )


def read_permission_error(text: str) -> ReadRefused:
    """This user may not read the topic."""
    return ReadRefused(
        f"Kafka does not let this user read the topic: {text}",
        _NOTHING_DONE,
        "Grant Read and Describe on the topic and its -dlq, as the script of "
        f"'{Hint.RIGHTS_KAFKA}' does",
        part="kafka",
    )


def silent_topic_error(topic: str, partitions: int, warning: str) -> Retryable:
    """Some partitions have records that the brokers do not deliver."""
    return Retryable(
        f"Kafka delivers no more records of {topic}: "
        f"{warning or f'{partitions} partition(s) do not answer'}",
        "Nothing was sent",
        "Check Kafka, then try again",
        part="kafka",
    )


def rejected_message_error(text: str) -> PoisonEvent:
    """The broker rejects a message; a retry would not help."""
    return PoisonEvent(
        f"The broker rejects a message: {text}",
        NOTHING_LOST,
        "Check the topic's settings (cleanup.policy, message.timestamp.type), then start again",
    )


def send_time_error(text: str) -> Retryable:
    """The topic's bounds on timestamps exclude a message's send time.

    The next producer sends the message with a new time: it is not part of the event.
    """
    return Retryable(
        f"Kafka refuses the send time of a message: {text}",
        NOTHING_LOST,
        "Check the clocks of this host and of the brokers, and the topic's "
        f"message.timestamp.before.max.ms and message.timestamp.after.max.ms. {RETRIED}",
        part="kafka",
    )


def lowered_limit_error(text: str) -> Retryable:
    """The topic's ``max.message.bytes`` was lowered after the producer had read it."""
    return Retryable(
        f"The topic's message size limit was lowered: {text}",
        NOTHING_LOST,
        RETRIED,
        part="kafka",
    )


def leaderless_error(topic: str, partitions: Sequence[int], total: int) -> Retryable:
    """Some partitions of the topic have no leader, so they accept no messages."""
    numbers = ", ".join(map(str, sorted(partitions)[:_MAX_EXAMPLES]))
    return Retryable(
        f"{len(partitions)} of {total} partitions of the topic {topic} have no leader ({numbers})",
        NOTHING_LOST,
        f"Check the brokers that hold these partitions. {RETRIED}",
        part="kafka",
    )


def replicas_error(topic: str, partitions: Sequence[int], total: int, *, needed: int) -> Retryable:
    """Some partitions of the topic have too few in-sync replicas to accept messages."""
    numbers = ", ".join(map(str, sorted(partitions)[:_MAX_EXAMPLES]))
    return Retryable(
        f"{len(partitions)} of {total} partitions of the topic {topic} have fewer in-sync replicas "
        f"than its min.insync.replicas = {needed} ({numbers}): Kafka refuses messages for them",
        NOTHING_LOST,
        f"Check the brokers that hold the other replicas, and min.insync.replicas. {RETRIED}",
        part="kafka",
    )


def codec_error(text: str) -> Misconfigured:
    """A codec for compressed messages is not installed."""
    return Misconfigured(
        f"The topic contains messages in a compression that this Python cannot read: {text}",
        _NOTHING_DONE,
        "pip install lz4 zstandard python-snappy (the extra codecs), "
        "or the codec that the topic's compression.type names",
    )


def missing_codec_error(compression: str) -> Misconfigured:
    """kafka-python needs a package for this codec."""
    return Misconfigured(
        f"kafka.compression = {compression} needs a package that is not installed",
        _NOTHING_DONE,
        "pip install 'job-bridge[codecs]', or 'job-bridge[librdkafka]', whose driver needs no "
        "package for a codec",
    )


def missing_kerberos_error() -> Misconfigured:
    """librdkafka was built without Kerberos, as in confluent-kafka's wheels for Linux."""
    return Misconfigured(
        "kafka.sasl_mechanism = GSSAPI: the installed librdkafka was built without it (libsasl2)",
        _NOTHING_DONE,
        "Set kafka.driver = kafka-python and pip install gssapi; or build confluent-kafka on a "
        "librdkafka with libsasl2",
        part="kafka",
    )


def missing_kerberos_package_error() -> Misconfigured:
    """kafka-python needs a package for Kerberos; with librdkafka, the commands that read do."""
    return Misconfigured(
        "kafka.sasl_mechanism = GSSAPI: kafka-python needs the package gssapi, which is not "
        "installed",
        _NOTHING_DONE,
        "pip install gssapi (it needs the libraries of MIT Kerberos)",
        part="kafka",
    )


def refused_options_error(problem: str) -> Misconfigured:
    """librdkafka does not accept ``kafka.options``; ``problem`` contains no values."""
    return Misconfigured(
        f"kafka.options: {problem}",
        _NOTHING_DONE,
        "librdkafka's CONFIGURATION.md lists the names and values",
        part="kafka",
    )


def unused_options_error() -> Misconfigured:
    """kafka-python knows other options than librdkafka."""
    return Misconfigured(
        "kafka.options needs the driver librdkafka: kafka-python would ignore it",
        _NOTHING_DONE,
        "Remove it; or pip install 'job-bridge[librdkafka]', and set kafka.driver = auto",
        part="kafka",
    )


def discarded_producer_error() -> Retryable:
    """This producer already reported a failure."""
    return Retryable(
        "The Kafka producer failed and was discarded", NOTHING_LOST, RETRIED, part="kafka"
    )


def ended_transaction_error(text: str) -> Retryable:
    """Kafka ended the transaction; the answer does not contain the cause."""
    return Retryable(
        "Kafka ended a transaction of the bridge: it timed out, or another process uses its "
        f"transactional id: {text}",
        NOTHING_COMMITTED,
        RETRIED,
        part="kafka",
    )


def unanswered_commit_error(seconds: float, text: str = "") -> Retryable:
    """The outcome of a commit is unknown."""
    reason = f": {text}" if text else ""
    return Retryable(
        f"Kafka did not confirm a transaction within {seconds:g} s{reason}",
        "The stored position shows whether it was committed; it is read again, so nothing is lost "
        "or repeated",
        f"Check the brokers. {RETRIED}",
        part="kafka",
    )


def transactional_id_permission_error(transactional_id: str) -> NotPermitted:
    """This user may not use the transactional id."""
    return NotPermitted(
        f"Kafka does not let this user use the transactional id {transactional_id}",
        "Nothing was read or sent",
        f"Grant Write and Describe on the transactional id {transactional_id}, as the script of "
        f"'{Hint.RIGHTS_KAFKA}' does",
        part="kafka",
    )


def old_broker_error(address: str) -> Misconfigured:
    """A broker is too old for transactions that fence a former producer."""
    return Misconfigured(
        f"The Kafka broker {address} is older than 2.7: its transactions do not stop a former "
        "producer of the same transactional id",
        _NOTHING_DONE,
        "Upgrade the brokers; or use another delivery.mode and checkpoint.store",
    )


def transaction_limit_error(brokers: str, needed: int) -> Misconfigured:
    """The brokers do not allow transactions as long as the bridge needs (milliseconds)."""
    return Misconfigured(
        f"{brokers}, less than the bridge needs",
        _NOTHING_DONE,
        f"Set transaction.max.timeout.ms to at least {needed}",
    )


def connection_error(text: str) -> BridgeError:
    """Any other failure: its cause in words, where ``text`` contains it."""
    return connection_failure(text)


def error_text(error: str, warning: str = "") -> str:
    """Return a readable line: the client's error and, if it adds anything, its latest warning.

    Secrets are hidden.
    """
    text = f"{error} ({warning})" if warning and warning not in error else error
    return " ".join(hidden(text).split())[:_MAX_LENGTH]
