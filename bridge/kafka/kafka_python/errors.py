"""The bridge's errors for kafka-python's errors."""

from collections.abc import Callable

from kafka import errors as kafka

from bridge.errors import BridgeError
from bridge.kafka.errors import (
    LOGIN_FAILED,
    codec_error,
    connection_error,
    error_text,
    lowered_limit_error,
    permission_error,
    rejected_message_error,
    send_time_error,
    token_error,
)

_VERDICTS: tuple[tuple[Callable[[str], BridgeError], tuple[type[Exception], ...]], ...] = (
    (
        permission_error,
        (
            kafka.AuthorizationError,
            kafka.SaslAuthenticationFailedError,
            kafka.IllegalSaslStateError,
            kafka.UnsupportedSaslMechanismError,
        ),
    ),
    (send_time_error, (kafka.InvalidTimestampError,)),
    (rejected_message_error, (kafka.InvalidRecordError, kafka.PolicyViolationError)),
    (codec_error, (kafka.UnsupportedCodecError,)),
    (lowered_limit_error, (kafka.MessageSizeTooLargeError,)),
)
#: A refused login may appear only in the client's warning.
_PERMISSION_TEXTS = ("SaslAuthenticationFailed", "UnsupportedSaslMechanism", "AuthorizationFailed")


def classify(error: BaseException, warning: str = "") -> BridgeError:
    """Return the bridge's error for ``error``; ``warning`` is the client's latest warning."""
    name = type(error).__name__
    text = error_text(str(error) if name in str(error) else f"{name}: {error}", warning)
    if LOGIN_FAILED in text:
        return token_error(text)
    if any(permission in text for permission in _PERMISSION_TEXTS):
        return permission_error(text)
    # For several messages of a batch kafka-python reports an invalid record, and warns of the time.
    if isinstance(error, kafka.InvalidRecordError) and kafka.InvalidTimestampError.__name__ in text:
        return send_time_error(text)
    for verdict, kinds in _VERDICTS:
        if isinstance(error, kinds):
            return verdict(text)
    return connection_error(text)
