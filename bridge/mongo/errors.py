"""The verdict on each MongoDB error, for the jobs, the stream and the checkpoint.

Sources of the codes: the server's ``error_codes.yml`` and the driver specification "change streams"
(resumable errors). An unknown code is retried, never skipped, unless the server labels it
``NonResumableChangeStreamError``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from bridge.errors import (
    RETRIED,
    BridgeError,
    CheckpointUnusable,
    Misconfigured,
    NotPermitted,
    ResumePointLost,
    Retryable,
    Unreadable,
)
from bridge.hints import Hint

_UNAUTHORIZED = 13
#: Unauthorized, AuthenticationFailed, AtlasError (bad auth), ReauthenticationRequired.
_REFUSED = frozenset({_UNAUTHORIZED, 18, 8000, 391})
_AUTHENTICATION_FAILED = "Authentication failed"
_DOCUMENT_VALIDATION_FAILURE = 121
#: BSONObjectTooLarge.
EVENT_TOO_LARGE = 10334
_MAX_EXAMPLES = 3
#: Codes that pass by themselves: the resumable errors of the driver specification "change streams",
#: killed cursors and operations, and elections. The content of an event never causes them.
_PASSING = frozenset(
    {6, 7, 43, 50, 63, 89, 91, 133, 134, 150, 175, 189, 211, 234, 237, 262, 433, 449, 9001, 10107}
    | {11600, 11601, 11602, 13388, 13435, 13436}
)

_NOTHING_LOST = "Nothing is lost: the bridge resumes from the last stored position"
_NOTHING_READ = "Nothing was read or sent"
_CREDENTIALS = "Check user, password and authSource"
_REPLICA_SET = (
    "Check mongo.uri, the replicaSet in it and that a primary is up; a standalone mongod becomes a "
    f"replica set with --replSet rs0 and, once, rs.initiate(). {RETRIED}"
)


class InvalidDocuments(BridgeError):
    """The collection's validator rejected some writes of a bulk; all others were made."""


class TokenRefused(Retryable):
    """MongoDB rejects this resume token; its cluster time still works and loses nothing."""


class ServerFailed(Retryable):
    """The server of the jobs returned a code without a verdict; an event may be the cause.

    Args:
        text: MongoDB's own text.
        code: the server's code.
        where: where the stream is, once that is worth a word.
    """

    def __init__(self, text: str, code: int | None, where: str = "") -> None:
        self.text = text
        self.code = code
        super().__init__(f"MongoDB failed{where}: {text}", _NOTHING_LOST, RETRIED, part="mongodb")

    def at(self, where: str) -> "ServerFailed":
        """Return the same failure with the place where the stream is."""
        return ServerFailed(self.text, self.code, where)


class _Verdict(NamedTuple):
    """A row of the table; MongoDB's own text is appended to ``what``."""

    error: type[BridgeError]
    what: str
    data: str
    todo: str
    part: str = "bridge"

    def on(self, text: str) -> BridgeError:
        return self.error(f"{self.what}: {text}", self.data, self.todo, part=self.part)


_RESUME_POINT_LOST = _Verdict(
    ResumePointLost,
    "The oplog no longer reaches back to the checkpoint",
    "The stream cannot deliver the transitions between the checkpoint and the oplog's oldest entry",
    f"The jobs still contain them: '{Hint.RUN_RECOVER}' publishes them and resumes the stream; "
    "enlarge the oplog",
)

_STREAM_VERDICTS: dict[frozenset[int], _Verdict] = {
    # ChangeStreamFatalError, InvalidResumeToken.
    frozenset({280, 260}): _Verdict(
        TokenRefused, "MongoDB rejects this resume token", _NOTHING_LOST, "", part="mongodb"
    ),
    # FailedToParse, Overflow, and the checks in the server's resume_token.cpp.
    frozenset(
        {9, 15, 40647, 40648, 40649, 50788, 50793, 50794, 50795, 50796, 50811, 50854, 50855}
        | {50870, 50872, 51055, 51056, 51057}
    ): _Verdict(
        CheckpointUnusable,
        "The stored resume token is not valid",
        _NOTHING_READ,
        f"Run '{Hint.TOKEN_SET_TIME}' with a time before the damage",
    ),
    # The event exceeds 16 MB (docs/limits.md), now and at each retry.
    frozenset({EVENT_TOO_LARGE}): _Verdict(
        Unreadable,
        "An event is too large for MongoDB to deliver",
        "The stream cannot be read past it; nothing is lost so far",
        f"Run '{Hint.RUN_RECOVER}' to republish this event from the jobs and resume after it",
    ),
    # CommandNotSupportedOnView, $changeStream on a standalone, unknown stage or field,
    # IllegalOperation, InvalidOptions, QueryFeatureNotAllowed.
    frozenset({166, 40573, 40324, 40415, 20, 72, 47}): _Verdict(
        Misconfigured,
        "MongoDB cannot open this change stream",
        _NOTHING_READ,
        "Watch a collection (not a view) of a replica set or a sharded cluster",
    ),
    # ChangeStreamHistoryLost, CappedPositionLost.
    frozenset({286, 136}): _RESUME_POINT_LOST,
}


class Area(NamedTuple):
    """How errors describe the data that a command reads or writes."""

    part: str
    refused: str
    grant: str
    since_refusal: str
    unreachable: str
    failed: str
    #: By the code of the server; a code that is not listed is retried.
    verdicts: dict[frozenset[int], _Verdict]


JOBS = Area(
    part="mongodb",
    refused="MongoDB refuses this user",
    grant=f"{_CREDENTIALS}, and the role: find and changeStream on the collection",
    since_refusal="Nothing has been read or sent since",
    unreachable="MongoDB is unreachable",
    failed="MongoDB failed",
    verdicts=_STREAM_VERDICTS,
)


def checkpoint_area(where: str) -> Area:
    """Return the area of a checkpoint, to which the verdicts of a stream do not apply."""
    return Area(
        part="checkpoint",
        refused=f"MongoDB does not let this user keep the checkpoint in {where}",
        grant="Grant find, insert and update on that collection",
        since_refusal="Nothing was sent since the last stored position",
        unreachable=f"The checkpoint in {where} is unreachable",
        failed=f"MongoDB failed to read or write the checkpoint in {where}",
        verdicts={},
    )


def classify(error: PyMongoError, area: Area = JOBS) -> BridgeError:
    """Return the bridge's error for ``error``, which occurred in ``area``."""
    if isinstance(error, BulkWriteError):
        if invalid := _invalid_documents(error):
            return invalid
        error = _first_failure(error)
    text = summary_of(error)
    if is_refused(error):
        known = isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED
        todo = area.grant if known else _CREDENTIALS
        return NotPermitted(f"{area.refused}: {text}", area.since_refusal, todo, part=area.part)
    if isinstance(error, OperationFailure):
        return _classify_code(error, area)
    if isinstance(error, ConfigurationError):
        return _classify_configuration(error, area)
    if isinstance(error, ConnectionFailure):
        return Retryable(f"{area.unreachable}: {text}", _NOTHING_LOST, _REPLICA_SET, part=area.part)
    return Retryable(f"{area.failed}: {text}", _NOTHING_LOST, RETRIED, part=area.part)


def _classify_code(error: OperationFailure, area: Area) -> BridgeError:
    text = summary_of(error)
    for codes, verdict in area.verdicts.items():
        if error.code in codes:
            return verdict.on(text)
    # The label comes last: MongoDB sets it for code 280 too, where only the token is lost.
    if area.verdicts and error.has_error_label("NonResumableChangeStreamError"):
        return _RESUME_POINT_LOST.on(text)
    passing = error.code in _PASSING or error.has_error_label("ResumableChangeStreamError")
    if area.verdicts and not passing:
        return ServerFailed(text, error.code)
    return Retryable(f"{area.failed}: {text}", _NOTHING_LOST, RETRIED, part=area.part)


def _classify_configuration(error: ConfigurationError, area: Area) -> BridgeError:
    text = summary_of(error)
    if _is_lookup_failure(error):
        return Retryable(
            f"The servers of mongo.uri cannot be looked up: {text}",
            _NOTHING_LOST,
            f"Check the name in mongo.uri and the name server of this machine. {RETRIED}",
            part=area.part,
        )
    return Misconfigured(
        f"The MongoDB settings do not work: {text}", _NOTHING_READ, "Correct mongo.uri"
    )


def is_refused(error: BaseException) -> bool:
    """Whether MongoDB rejects this user.

    PyMongo's monitor may meet the refusal while no server is known; then only the text shows it.
    """
    return getattr(error, "code", None) in _REFUSED or (
        isinstance(error, ServerSelectionTimeoutError) and _AUTHENTICATION_FAILED in str(error)
    )


def summary_of(error: BaseException) -> str:
    """Shorten PyMongo's text to a line, without the topology and the command that it repeats."""
    text = str(error)
    for start_of_details in (", full error:", ", Timeout:", " to execute command"):
        text = text.split(start_of_details)[0]
    return " ".join(text.split())[:300]


def _is_lookup_failure(error: BaseException) -> bool:
    """Whether a name server failed, as for a ``mongodb+srv`` URI; the name may exist later.

    PyMongo raises ``ConfigurationError`` for that, caused by an exception of dnspython.
    """
    return type(error.__cause__).__module__.startswith("dns.")


def _invalid_documents(error: BulkWriteError) -> InvalidDocuments | None:
    """Return an error if the collection's validator is the only cause, else None."""
    failures = error.details.get("writeErrors", ())
    if (
        error.details.get("writeConcernErrors")
        or not failures
        or any(failure.get("code") != _DOCUMENT_VALIDATION_FAILURE for failure in failures)
    ):
        return None
    examples = ", ".join(_query_of(failure) for failure in failures[:_MAX_EXAMPLES])
    return InvalidDocuments(
        f"MongoDB rejects writes to {len(failures)} job(s), because their documents fail the "
        f"collection's validator ({examples})"
    )


def _query_of(failure: dict[str, Any]) -> str:
    return f"{failure.get('op', {}).get('q', '')!s:.100}"


def _first_failure(error: BulkWriteError) -> OperationFailure:
    """Return the first failure of a bulk write; the error itself only counts them."""
    details = error.details
    for failure in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
        return OperationFailure(str(failure.get("errmsg")), failure.get("code"))
    return error


@contextmanager
def translated(area: Area = JOBS) -> Iterator[None]:
    """Raise the bridge's error for each PyMongo error."""
    try:
        yield
    except PyMongoError as error:
        raise classify(error, area) from error
