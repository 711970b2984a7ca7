"""What each Kafka error means for the bridge.

A message that failed is never given up alone: a later one of the same job may already be there.
Whatever the verdict, the producer that reported it is discarded, and what it had not acknowledged is
sent again in order.
"""

from kafka import errors as kafka

from bridge.errors import BridgeError, Misconfigured, NotPermitted, PoisonEvent, Retryable

_REPLAY = "Nothing is lost: what was not acknowledged is sent again, in order"
_AGAIN = "The bridge tries again by itself"
_AWAY = "Check kafka.bootstrap_servers and kafka.security_protocol; the bridge tries again by itself"

_PERMISSION = (
    kafka.AuthorizationError,
    kafka.SaslAuthenticationFailedError,
    kafka.IllegalSaslStateError,
    kafka.UnsupportedSaslMechanismError,
)
#: The same where only the client's words tell.
_REFUSALS = ("SaslAuthenticationFailed", "UnsupportedSaslMechanism", "AuthorizationFailed")
_REFUSED = (kafka.InvalidRecordError, kafka.PolicyViolationError, kafka.InvalidTimestampError)


def classify(error: BaseException, words: str = "") -> BridgeError:
    """Say what the bridge does about ``error``; ``words`` is what the client last logged."""
    text = _text(error, words)
    if isinstance(error, _PERMISSION) or any(word in text for word in _REFUSALS):
        return NotPermitted(f"Kafka refuses this user: {text}", _REPLAY,
                            "Check kafka.sasl_* and the ACLs: Describe and Write on the topic and its -dlq", part="kafka")
    if "CERTIFICATE_VERIFY_FAILED" in text or "Hostname mismatch" in text:
        return Misconfigured(f"The broker's certificate is not trusted: {text}", _REPLAY,
                             "Check kafka.ssl_cafile and the host name in kafka.bootstrap_servers")
    if isinstance(error, _REFUSED):
        return PoisonEvent(f"The broker refuses a message: {text}", _REPLAY,
                           "Check the topic's settings (cleanup.policy, timestamp type and bounds), then start again")
    if isinstance(error, kafka.MessageSizeTooLargeError):
        return Retryable(f"The topic now takes less than it said: {text}", _REPLAY, _AGAIN, part="kafka")
    return Retryable(f"Kafka is out of reach or failed: {text}", _REPLAY, _AWAY, part="kafka")


def _text(error: BaseException, words: str) -> str:
    name = type(error).__name__
    said = str(error) if name in str(error) else f"{name}: {error}"
    both = f"{said} ({words})" if words else said
    return " ".join(both.split())[:400]
