"""The errors of MongoDB that the simulated job service waits out."""

from __future__ import annotations

from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

READ_CONCERN_NOT_AVAILABLE_YET = 134
#: "Not writable primary" and "node is recovering" of the driver specification "server discovery and
#: monitoring". A primary that steps down during a write may report them without a label.
NOT_PRIMARY = (10107, 10058, 13435, 11600, 11602, 13436, 189, 91)


def passing(error: PyMongoError) -> bool:
    """Whether waiting may cure the error: no answer, no primary, no majority."""
    if isinstance(error, ConnectionFailure | WriteConcernError | ExecutionTimeout):
        return True
    if isinstance(error, OperationFailure) and error.code in (
        READ_CONCERN_NOT_AVAILABLE_YET,
        *NOT_PRIMARY,
    ):
        return True
    return error.has_error_label("RetryableWriteError")
