"""librdkafka's errors, as verdicts."""

from confluent_kafka import KafkaError, KafkaException

from bridge.errors import BridgeError
from bridge.kafka.errors import failed, refused, shortened, shrunk, unacceptable

_PERMISSION = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError._AUTHENTICATION,
    }
)
#: The same where only the client's words tell.
_REFUSALS = (
    "_AUTHENTICATION",
    "AUTHORIZATION_FAILED",
    "SASL authentication error",
    "Authentication failed",
    "not supported by broker",
)
_REFUSED = frozenset(
    {KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION, KafkaError.INVALID_TIMESTAMP}
)
_HOPELESS = (
    *_REFUSALS,
    "certificate verify failed",
    "certificate could not be verified",
    "Hostname mismatch",
)


#: What the client says for each error of a broker that means something else than to try again.
_CAUSES = {
    KafkaError(code).str(): code
    for code in (*_REFUSED, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED)
}


def hopeless(words: str) -> bool:
    """Whether what the client complained of will not pass by waiting a little."""
    return any(each in words for each in _HOPELESS)


def classify(error: KafkaError | BaseException, words: str = "") -> BridgeError:
    """Say what the bridge does about ``error``; ``words`` is what the client last complained of."""
    if isinstance(error, KafkaException):
        error = error.args[0]
    code = error.code() if isinstance(error, KafkaError) else None
    said = (
        f"{error.name()}: {error.str()}"
        if isinstance(error, KafkaError)
        else f"{type(error).__name__}: {error}"
    )
    text = shortened(f"{said} ({words})" if words and words not in said else said)
    # What comes behind a message that failed fails by the gapless guarantee, and only tells of the cause.
    code = next((cause for told, cause in _CAUSES.items() if told in text), code)
    if code in _PERMISSION or any(each in text for each in _REFUSALS):
        return refused(text)
    if code in _REFUSED:
        return unacceptable(text)
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return shrunk(text)
    return failed(text)
