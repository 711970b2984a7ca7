"""The errors that the simulated job service waits out."""

from __future__ import annotations

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

from bridge.demo.job_service.passing_errors import passing


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        WriteConcernError("waiting for replication timed out", 64),
        OperationFailure("Read concern majority not available yet", 134),
        # The error of MongoDB 6.0 for a step-down during an insert.
        WriteError("Not primary while writing to jobs", 189, {"index": 0, "code": 189}),
        WriteError("operation was interrupted", 11602),
    ],
)
def test_what_a_new_primary_cures_is_waited_out(error: PyMongoError) -> None:
    assert passing(error)


@pytest.mark.parametrize(
    "error",
    [
        DuplicateKeyError("E11000 duplicate key", 11000),
        WriteError("Document failed validation", 121),
        OperationFailure("not authorized", 13),
    ],
)
def test_what_waiting_does_not_cure_ends_it(error: PyMongoError) -> None:
    assert not passing(error)
