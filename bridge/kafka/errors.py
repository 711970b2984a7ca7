"""What a failure of Kafka means for the bridge, in the same words for every driver.

A message that failed is never given up alone: a later one of the same job may already be there.
Whatever the verdict, the producer that reported it is discarded, and what it had not acknowledged is
sent again in order. Each driver has a table of its own from its errors to these.
"""

from bridge.errors import BridgeError, Misconfigured, NotPermitted, PoisonEvent, Retryable

_REPLAY = "Nothing is lost: what was not acknowledged is sent again, in order"
_AGAIN = "A running bridge tries again by itself"
_AWAY = "Check kafka.bootstrap_servers and kafka.security_protocol; a running bridge tries again by itself"

_UNTRUSTED = (
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "Hostname mismatch",
    "certificate could not be verified",
)


def refused(text: str) -> NotPermitted:
    """The broker does not know this user, or does not let it."""
    return NotPermitted(
        f"Kafka refuses this user: {text}",
        _REPLAY,
        "Check kafka.sasl_* and the ACLs: Describe and Write on the topic and its -dlq",
        part="kafka",
    )


def unreadable(text: str) -> NotPermitted:
    """The broker does not let this user read the topic."""
    return NotPermitted(
        f"Kafka does not let this user read the topic: {text}",
        "Nothing was read or sent",
        "Grant Read on the topic and its -dlq, beside Describe; config/kafka-acls.sh shows it",
        part="kafka",
    )


def unacceptable(text: str) -> PoisonEvent:
    """The broker takes no such message, however often it is sent."""
    return PoisonEvent(
        f"The broker refuses a message: {text}",
        _REPLAY,
        "Check the topic's settings (cleanup.policy, timestamp type and bounds), then start again",
    )


def shrunk(text: str) -> Retryable:
    """The topic's limit was lowered since it was looked at."""
    return Retryable(
        f"The topic now takes less than it said: {text}", _REPLAY, _AGAIN, part="kafka"
    )


def discarded() -> Retryable:
    """The producer reported a failure before."""
    return Retryable("The Kafka producer failed and is discarded", _REPLAY, _AGAIN, part="kafka")


def failed(text: str) -> BridgeError:
    """Anything else: it may pass, unless it is the broker's certificate."""
    if any(words in text for words in _UNTRUSTED):
        return Misconfigured(
            f"The broker's certificate is not trusted: {text}",
            _REPLAY,
            "Check kafka.ssl_cafile and the host name in kafka.bootstrap_servers",
        )
    return Retryable(f"Kafka is out of reach or failed: {text}", _REPLAY, _AWAY, part="kafka")


def shortened(text: str) -> str:
    """One line, of a length a person reads."""
    return " ".join(text.split())[:400]
