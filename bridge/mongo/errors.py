"""The verdict on each MongoDB error, for the jobs, the stream and the checkpoint.

Sources of the codes: the server's ``error_codes.yml`` and the driver specification "change streams"
(resumable errors). An unknown code is retried, never skipped, unless the server labels it
``NonResumableChangeStreamError``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

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
from bridge.mongo.bulk_failures import first_failure, invalid_documents
from bridge.mongo.connection_failures import NOTHING_LOST, connection_failure
from bridge.settings.hidden import hidden

_UNAUTHORIZED = 13
#: Unauthorized, UserNotFound (X.509), AuthenticationFailed, AtlasError (bad auth),
#: ReauthenticationRequired.
_REFUSED = frozenset({_UNAUTHORIZED, 11, 18, 8000, 391})
_AUTHENTICATION_FAILED = "Authentication failed"
#: BSONObjectTooLarge.
EVENT_TOO_LARGE = 10334
#: Codes that pass by themselves: the resumable errors of the driver specification "change streams",
#: killed cursors and operations, elections, and a majority that does not confirm in time. The
#: content of an event never causes them.
_PASSING = frozenset(
    {6, 7, 43, 50, 63, 64, 89, 91, 133, 134, 150, 175, 189, 211, 234, 237, 262, 433, 449}
    | {9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436}
)

_NOTHING_READ = "Nothing was read or sent"
_CREDENTIALS = "Check user, password and authSource"


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
        super().__init__(f"MongoDB failed{where}: {text}", NOTHING_LOST, RETRIED, part="mongodb")

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

_API_VERSION_REQUIRED = "The apiVersion parameter is required"
_API_VERSION = _Verdict(
    Misconfigured,
    "MongoDB requires the Stable API, which the bridge does not use",
    "Nothing is lost: nothing is read or sent meanwhile",
    "Set the server parameter requireApiVersion of MongoDB to false",
    part="mongodb",
)

#: For the jobs and for the checkpoint.
_CONFIGURATION_VERDICTS: dict[frozenset[int], _Verdict] = {
    # APIVersionError, APIStrictError, and the location of requireApiVersion.
    frozenset({322, 323, 498870}): _API_VERSION,
    # NoQueryExecutionPlans.
    frozenset({291}): _Verdict(
        Misconfigured,
        "MongoDB refuses queries that no index supports",
        "Nothing is lost: nothing is read or sent meanwhile",
        "Set the server parameter notablescan of MongoDB to false, or create the index "
        "that the query needs",
        part="mongodb",
    ),
}

_STREAM_VERDICTS: dict[frozenset[int], _Verdict] = {
    # ChangeStreamFatalError, InvalidResumeToken.
    frozenset({280, 260}): _Verdict(
        TokenRefused, "MongoDB rejects this resume token", NOTHING_LOST, "", part="mongodb"
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
        part="mongodb",
    ),
    # ChangeStreamHistoryLost, CappedPositionLost.
    frozenset({286, 136}): _RESUME_POINT_LOST,
}


class Area(NamedTuple):
    """How errors describe the data that a command reads or writes.

    ``part`` fails only where MongoDB's answer is about that data: a missing right, or a code
    without a verdict. MongoDB itself fails, for jobs and checkpoint alike, where it does not
    answer, rejects the credentials, or answers with an error that passes, such as an election.
    """

    part: str
    refused: str
    grant: str
    since_refusal: str
    failed: str
    #: By the code of the server; a code that is not listed is retried.
    verdicts: dict[frozenset[int], _Verdict]


JOBS = Area(
    part="mongodb",
    refused="MongoDB refuses this user",
    grant=f"{_CREDENTIALS}, and the role: find and changeStream on the collection",
    since_refusal="Nothing has been read or sent since",
    failed="MongoDB failed",
    verdicts=_STREAM_VERDICTS,
)


def checkpoint_area(where: str) -> Area:
    """Return the area of a checkpoint, to which the verdicts of a stream do not apply."""
    return Area(
        part="checkpoint",
        refused=f"MongoDB does not let this user keep the checkpoint in {where}",
        grant="Grant find, insert and update on that collection, as the script of "
        f"'{Hint.RIGHTS_MONGODB}' does",
        since_refusal="Nothing was sent since the last stored position",
        failed=f"MongoDB failed to read or write the checkpoint in {where}",
        verdicts={},
    )


def classify(error: PyMongoError, area: Area = JOBS) -> BridgeError:
    """Return the bridge's error for ``error``, which occurred in ``area``."""
    if isinstance(error, BulkWriteError):
        if invalid := invalid_documents(error):
            return invalid
        error = first_failure(error)
    text = summary_of(error)
    if is_refused(error):
        known = isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED
        failed, todo = (area, area.grant) if known else (JOBS, _CREDENTIALS)
        return NotPermitted(f"{failed.refused}: {text}", area.since_refusal, todo, part=failed.part)
    if isinstance(error, OperationFailure):
        return _classify_code(error, area)
    if isinstance(error, ConfigurationError):
        return _classify_configuration(error)
    if isinstance(error, ConnectionFailure):
        # PyMongo's monitor meets this refusal while no server is known; only the text shows it.
        return _API_VERSION.on(text) if _API_VERSION_REQUIRED in text else connection_failure(text)
    return Retryable(f"{area.failed}: {text}", NOTHING_LOST, RETRIED, part=area.part)


def _classify_code(error: OperationFailure, area: Area) -> BridgeError:
    text = summary_of(error)
    for codes, verdict in (_CONFIGURATION_VERDICTS | area.verdicts).items():
        if error.code in codes:
            return verdict.on(text)
    # The label comes last: MongoDB sets it for code 280 too, where only the token is lost.
    if area.verdicts and error.has_error_label("NonResumableChangeStreamError"):
        return _RESUME_POINT_LOST.on(text)
    passing = error.code in _PASSING or error.has_error_label("ResumableChangeStreamError")
    if area.verdicts and not passing:
        return ServerFailed(text, error.code)
    failed = JOBS if passing else area
    return Retryable(f"{failed.failed}: {text}", NOTHING_LOST, RETRIED, part=failed.part)


def _classify_configuration(error: ConfigurationError) -> BridgeError:
    text = summary_of(error)
    if "Read preference primary cannot be combined" in text:
        return Misconfigured(
            "mongo.uri contains readPreferenceTags or maxStalenessSeconds, which choose among "
            "secondaries; the bridge reads from the primary",
            _NOTHING_READ,
            "Remove readPreferenceTags and maxStalenessSeconds from mongo.uri",
            part="mongodb",
        )
    if _is_lookup_failure(error):
        return Retryable(
            f"The servers of mongo.uri cannot be looked up: {text}",
            NOTHING_LOST,
            f"Check the name in mongo.uri and the name server of this machine. {RETRIED}",
            part="mongodb",
        )
    return Misconfigured(
        f"The MongoDB settings do not work: {text}",
        _NOTHING_READ,
        "Correct mongo.uri",
        part="mongodb",
    )


def is_refused(error: BaseException) -> bool:
    """Whether MongoDB rejects this user.

    PyMongo's monitor may meet the refusal while no server is known; then only the text shows it.
    """
    return getattr(error, "code", None) in _REFUSED or (
        isinstance(error, ServerSelectionTimeoutError) and _AUTHENTICATION_FAILED in str(error)
    )


def summary_of(error: BaseException) -> str:
    """Shorten PyMongo's text to a line, without secrets, the topology and the repeated command."""
    text = hidden(str(error))
    for start_of_details in (", full error:", ", Timeout:", " to execute command"):
        text = text.split(start_of_details)[0]
    return " ".join(text.split())[:300]


def _is_lookup_failure(error: BaseException) -> bool:
    """Whether a name server failed, as for a ``mongodb+srv`` URI; the name may exist later.

    PyMongo raises ``ConfigurationError`` for that, caused by an exception of dnspython.
    """
    return type(error.__cause__).__module__.startswith("dns.")


@contextmanager
def translated(area: Area = JOBS) -> Iterator[None]:
    """Raise the bridge's error for each PyMongo error."""
    try:
        yield
    except PyMongoError as error:
        raise classify(error, area) from error
