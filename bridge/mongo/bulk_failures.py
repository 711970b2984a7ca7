"""The failures inside a bulk write; the exception itself only counts them."""

from typing import Any

from pymongo.errors import BulkWriteError, OperationFailure

from bridge.errors import BridgeError

_DOCUMENT_VALIDATION_FAILURE = 121
_MAX_EXAMPLES = 3


class InvalidDocuments(BridgeError):
    """The collection's validator rejected some writes of a bulk; all others were made."""


def invalid_documents(error: BulkWriteError) -> InvalidDocuments | None:
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


def first_failure(error: BulkWriteError) -> OperationFailure:
    """Return the first failure of a bulk write; the error itself only counts them."""
    details = error.details
    for failure in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
        return OperationFailure(str(failure.get("errmsg")), failure.get("code"))
    return error
