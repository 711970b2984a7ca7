"""kafka-python's errors, as verdicts."""

from kafka import errors as kafka

from bridge.errors import BridgeError, Misconfigured
from bridge.kafka.errors import failed, refused, shortened, shrunk, unacceptable

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
        return refused(text)
    if isinstance(error, _REFUSED):
        return unacceptable(text)
    if isinstance(error, kafka.UnsupportedCodecError):
        return Misconfigured(
            f"The topic has messages compressed in a way this Python cannot read: {text}",
            "Nothing was read or sent",
            "pip install lz4 zstandard python-snappy (the extra codecs), or the one that the topic's compression.type names",
        )
    if isinstance(error, kafka.MessageSizeTooLargeError):
        return shrunk(text)
    return failed(text)


def _text(error: BaseException, words: str) -> str:
    name = type(error).__name__
    said = str(error) if name in str(error) else f"{name}: {error}"
    return shortened(f"{said} ({words})" if words else said)
