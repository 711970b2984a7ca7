"""What each MongoDB error means for the bridge: one table, one function.

Codes and their classes are those of the server's ``error_codes.yml`` and of the driver
specification "change streams" (resumable errors); where a code is missing the server's own
``ResumableChangeStreamError`` label decides, and what is unknown is tried again, never skipped.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from bridge.errors import (
    MONGODB_AWAY,
    BridgeError,
    CheckpointUnusable,
    Misconfigured,
    NotPermitted,
    ResumePointLost,
    Retryable,
    Unreadable,
    is_lookup,
    is_refused,
    short,
)

#: ChangeStreamHistoryLost, CappedPositionLost.
HISTORY_LOST = frozenset({286, 136})
#: ChangeStreamFatalError, InvalidResumeToken: this token cannot be resumed from, its time can.
TOKEN_REFUSED = frozenset({280, 260})
#: FailedToParse, Overflow, and where the server's resume_token.cpp finds a token that is no token.
TOKEN_CORRUPT = frozenset(
    {
        9,
        15,
        40647,
        40648,
        40649,
        50788,
        50793,
        50794,
        50795,
        50796,
        50811,
        50854,
        50855,
        50870,
        50872,
        51055,
        51056,
        51057,
    }
)
#: BSONObjectTooLarge: the event is over 16 MB as it is read (docs/limits.md), and will be each time.
TOO_LARGE = frozenset({10334})
#: CommandNotSupportedOnView, $changeStream on a standalone, unknown stage or field, illegal operation.
MISCONFIGURED = frozenset({166, 40573, 40324, 40415, 20, 72, 47})

_NAMES = "Check the name in mongo.uri and the name server of this machine; a running bridge tries again by itself"
#: DocumentValidationFailure.
_INVALID = 121
_EXAMPLES = 3
_REPLAY = "Nothing is lost: the bridge goes on from the last stored position"


class Refused(BridgeError):
    """Some documents of a bulk write do not pass the collection's validator; all others are written."""


class TokenRefused(Retryable):
    """The server will not resume from this token; going on from its cluster time loses nothing."""


def classify(error: PyMongoError) -> BridgeError:
    """Say what the bridge does about ``error``."""
    if isinstance(error, BulkWriteError):
        if invalid := _invalid_in(error):
            return invalid
        error = _first_of(error)
    if is_refused(error):
        return NotPermitted(
            f"MongoDB refuses this user: {short(error)}",
            "Nothing was read or sent since",
            "Check user, password and authSource, and the role: find and changeStream on the collection",
            part="mongodb",
        )
    if isinstance(error, OperationFailure):
        return _classify_code(error)
    if isinstance(error, ConfigurationError) and is_lookup(error):
        return Retryable(
            f"The servers of mongo.uri cannot be looked up: {short(error)}",
            _REPLAY,
            _NAMES,
            part="mongodb",
        )
    if isinstance(error, (InvalidURI, ConfigurationError)):
        return Misconfigured(
            f"The MongoDB settings do not work: {short(error)}",
            "Nothing was read or sent",
            "Correct mongo.uri",
        )
    if isinstance(error, ConnectionFailure):
        return Retryable(
            f"MongoDB is out of reach: {short(error)}", _REPLAY, MONGODB_AWAY, part="mongodb"
        )
    return Retryable(
        f"MongoDB failed: {short(error)}",
        _REPLAY,
        "A running bridge tries again by itself",
        part="mongodb",
    )


def _classify_code(error: OperationFailure) -> BridgeError:
    code, text = error.code, short(error)
    if code in TOKEN_REFUSED:
        return TokenRefused(
            f"MongoDB will not resume from this token: {text}", _REPLAY, part="mongodb"
        )
    if code in TOKEN_CORRUPT:
        return CheckpointUnusable(
            f"The stored resume token is none: {text}",
            "Nothing was read or sent",
            "'job-bridge token set TIME' with a time before the damage",
        )
    if code in TOO_LARGE:
        return Unreadable(
            f"An event is larger than MongoDB can hand over: {text}",
            "The stream cannot be read past it; nothing is lost so far",
            "The jobs tell what it told: 'job-bridge run --recovery-on-history-lost recover' publishes that and goes on behind it",
        )
    if code in MISCONFIGURED:
        return Misconfigured(
            f"This change stream cannot be opened: {text}",
            "Nothing was read or sent",
            "Watch a collection (not a view) of a replica set or a sharded cluster",
        )
    # The label comes last: 280 has it too, and there only the token is lost, not the history.
    if code in HISTORY_LOST or error.has_error_label("NonResumableChangeStreamError"):
        return ResumePointLost(
            f"The oplog no longer reaches back to the checkpoint: {text}",
            "Transitions between the checkpoint and the oplog's oldest entry cannot be read from the stream",
            "The jobs still hold them: 'job-bridge run --recovery-on-history-lost recover' publishes them and goes on; enlarge the oplog",
        )
    return Retryable(
        f"MongoDB failed: {text}", _REPLAY, "A running bridge tries again by itself", part="mongodb"
    )


def _invalid_in(error: BulkWriteError) -> Refused | None:
    """What is to be said where nothing but documents that are not valid stood in the way."""
    found = error.details.get("writeErrors", ())
    if (
        error.details.get("writeConcernErrors")
        or not found
        or any(one.get("code") != _INVALID for one in found)
    ):
        return None
    jobs = ", ".join(f"{one.get('op', {}).get('q', '')!s:.100}" for one in found[:_EXAMPLES])
    return Refused(
        f"MongoDB does not let {len(found)} job(s) be written, as they do not pass the collection's validator ({jobs})"
    )


def _first_of(error: BulkWriteError) -> OperationFailure:
    """What the first write that failed was refused for; the error itself only counts them."""
    details = error.details
    for one in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
        return OperationFailure(str(one.get("errmsg")), one.get("code"))
    return error


@contextmanager
def translated() -> Iterator[None]:
    """Turn PyMongo's exceptions into the bridge's."""
    try:
        yield
    except PyMongoError as error:
        raise classify(error) from error
