"""The bridge's errors for librdkafka's errors."""

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from bridge.errors import BridgeError
from bridge.kafka import timeouts
from bridge.kafka.errors import (
    LOGIN_FAILED,
    connection_error,
    ended_transaction_error,
    error_text,
    lowered_limit_error,
    permission_error,
    rejected_message_error,
    send_time_error,
    token_error,
    transaction_limit_error,
    transactional_id_permission_error,
)

_VERDICTS: dict[int | None, Callable[[str], BridgeError]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: permission_error,
    KafkaError.GROUP_AUTHORIZATION_FAILED: permission_error,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: permission_error,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: permission_error,
    KafkaError.SASL_AUTHENTICATION_FAILED: permission_error,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: permission_error,
    KafkaError.ILLEGAL_SASL_STATE: permission_error,
    KafkaError._AUTHENTICATION: permission_error,
    KafkaError.INVALID_RECORD: rejected_message_error,
    KafkaError.POLICY_VIOLATION: rejected_message_error,
    KafkaError.INVALID_TIMESTAMP: send_time_error,
    KafkaError.MSG_SIZE_TOO_LARGE: lowered_limit_error,
}
#: A refused login may appear only in the client's warning.
_PERMISSION_TEXTS = (
    "_AUTHENTICATION",
    "AUTHORIZATION_FAILED",
    "SASL authentication error",
    "Authentication failed",
    "not supported by broker",
)
_LASTING_TEXTS = (
    *_PERMISSION_TEXTS,
    "certificate verify failed",
    "certificate could not be verified",
    "Hostname mismatch",
)
#: Another producer uses the transactional id, or the transaction timed out: the answers are the
#: same. After them the client itself answers ``_FATAL`` or ``_STATE``.
_ENDED_TRANSACTION = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_TXN_STATE,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError._FATAL,
        KafkaError._STATE,
    }
)
#: The texts of broker errors. With the gapless guarantee, messages after a failed one fail with a
#: code of their own, and only their text contains the cause.
_CAUSES = {
    KafkaError(code).str(): code
    for code in (
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    )
}
_UNANSWERED = frozenset(
    {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT}
)
#: The coordinator of a group or of a transactional id starts, moves, or does not answer.
UNAVAILABLE_COORDINATOR = _UNANSWERED | {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}


def is_lasting(warning: str) -> bool:
    """Return whether a short wait cannot remove the cause of this warning."""
    return any(lasting in warning for lasting in _LASTING_TEXTS)


def is_unanswered(error: KafkaException) -> bool:
    """Return whether no broker answered the request."""
    return error.args[0].code() in _UNANSWERED


def classify(error: KafkaError | BaseException, warning: str = "") -> BridgeError:
    """Return the bridge's error for ``error``; ``warning`` is the client's latest warning."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    if isinstance(error, KafkaError):
        code = error.code()
        text = error_text(f"{error.name()}: {error.str()}", warning)
    else:
        code = None
        text = error_text(f"{type(error).__name__}: {error}", warning)
    code = next((cause for cause_text, cause in _CAUSES.items() if cause_text in text), code)
    if LOGIN_FAILED in text:
        return token_error(text)
    if any(permission in text for permission in _PERMISSION_TEXTS):
        return permission_error(text)
    return _VERDICTS.get(code, connection_error)(text)


def classify_transaction(
    error: KafkaError | BaseException, transactional_id: str, warning: str = ""
) -> BridgeError:
    """Return the bridge's error for ``error`` of a producer with this transactional id."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    if not isinstance(error, KafkaError):
        return classify(error, warning)
    text = error_text(f"{error.name()}: {error.str()}", warning)
    if "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" in text:
        return transactional_id_permission_error(transactional_id)
    if "INVALID_TRANSACTION_TIMEOUT" in text:
        needed = timeouts.milliseconds(timeouts.TRANSACTION_SECONDS)
        return transaction_limit_error(
            "The brokers have a small transaction.max.timeout.ms", needed
        )
    is_refused = any(refusal in text for refusal in _PERMISSION_TEXTS)
    if error.code() in _ENDED_TRANSACTION and not is_refused:
        return ended_transaction_error(text)
    return classify(error, warning)
