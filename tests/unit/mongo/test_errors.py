"""The verdict on each MongoDB error."""

from __future__ import annotations

import dns.exception
import dns.resolver
import pytest
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidURI,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from bridge.errors import (
    BridgeError,
    CheckpointUnusable,
    Misconfigured,
    NotPermitted,
    ResumePointLost,
    Retryable,
    Unreadable,
)
from bridge.mongo.checkpoints import MongoCheckpointStore
from bridge.mongo.client import state_client
from bridge.mongo.errors import ServerFailed, TokenRefused, checkpoint_area, classify, translated
from tests.support.factories import settings
from tests.support.passing_errors import PASSING

#: Others that servers send.
ALSO_PASSING = (
    433,
    449,
)
CODES: list[tuple[type[BridgeError], tuple[int, ...]]] = [
    (Retryable, (*PASSING, *ALSO_PASSING)),
    # InternalError, BadValue, ConversionFailure, and the location of an expression's failure.
    (ServerFailed, (1, 2, 241, 51156, -10)),
    (NotPermitted, (11, 13, 18, 8000, 391)),
    (ResumePointLost, (286, 136)),
    (TokenRefused, (280, 260)),
    (
        CheckpointUnusable,
        (9, 15, 40647, 40648, 40649, 50788, 50795, 50796, 50811, 50854, 51055, 51057),
    ),
    (Unreadable, (10334,)),
    (Misconfigured, (166, 40573, 40324, 40415, 20, 72, 47, 291, 322, 323, 498870)),
]


@pytest.mark.parametrize(
    ("verdict", "code"), [(verdict, code) for verdict, codes in CODES for code in codes]
)
def test_each_code_has_its_verdict(verdict: type[BridgeError], code: int) -> None:
    assert type(classify(OperationFailure("the server says", code))) is verdict


@pytest.mark.parametrize(
    "answer",
    [dns.resolver.NoNameservers, dns.exception.Timeout, dns.resolver.NXDOMAIN],
    ids=lambda answer: answer.__name__,
)
def test_a_failed_name_lookup_is_retried(
    answer: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise answer

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    with state_client(settings(mongo__uri="mongodb+srv://jobs.example.com/")) as client:
        with pytest.raises(PyMongoError) as raised:
            client.admin.command("ping")
        with pytest.raises(Retryable):
            MongoCheckpointStore(client, "bridge", "name", lease_seconds=10).acquire()

    assert type(classify(raised.value)) is Retryable


def test_an_unknown_code_is_retried() -> None:
    assert type(classify(OperationFailure("the server says", 99_999))) is ServerFailed
    assert type(classify(OperationFailure("the server says"))) is ServerFailed
    assert issubclass(ServerFailed, Retryable)


def test_the_label_means_a_lost_resume_point() -> None:
    error = OperationFailure("gone", 99_999, {"errorLabels": ["NonResumableChangeStreamError"]})

    assert type(classify(error)) is ResumePointLost


def test_a_refused_token_loses_no_resume_point() -> None:
    """MongoDB sets the same label for both."""
    error = OperationFailure("not found", 280, {"errorLabels": ["NonResumableChangeStreamError"]})

    assert type(classify(error)) is TokenRefused


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailure("x"),
        AutoReconnect("x"),
        NetworkTimeout("x"),
        NotPrimaryError("x"),
        ServerSelectionTimeoutError("x"),
        WaitQueueTimeoutError("x"),
        CursorNotFound("x", 43),
        ExecutionTimeout("x", 50),
        DocumentTooLarge("x"),
        PyMongoError("x"),
    ],
)
def test_passing_failures_are_retried(error: PyMongoError) -> None:
    verdict = classify(error)

    assert type(verdict) is Retryable
    assert verdict.part == "mongodb"


def test_a_refusal_during_server_selection_is_recognised() -> None:
    """Only PyMongo's monitor was refused; the operation fails because no server is known."""
    error = ServerSelectionTimeoutError(
        "localhost:27017: Authentication failed., full error: {'ok': 0.0, 'code': 18}, "
        "Timeout: 5.0s, Topology Description: <...>"
    )

    assert isinstance(classify(error), NotPermitted)


@pytest.mark.parametrize("error", [InvalidURI("x"), ConfigurationError("x")])
def test_wrong_settings_are_not_retried(error: PyMongoError) -> None:
    assert type(classify(error)) is Misconfigured


@pytest.mark.parametrize(
    "error",
    [
        *(OperationFailure("x", code) for code in (1, 9, 20, 136, 280, 286, 10334)),
        OperationFailure("x", 99, {"errorLabels": ["NonResumableChangeStreamError"]}),
        PyMongoError("x"),
    ],
)
def test_verdicts_of_streams_are_not_for_checkpoints(error: PyMongoError) -> None:
    verdict = classify(error, checkpoint_area("db.checkpoints"))

    assert type(verdict) is Retryable
    assert verdict.part == "checkpoint"
    assert "db.checkpoints" in verdict.what


def test_a_checkpoint_names_its_own_permissions() -> None:
    verdict = classify(OperationFailure("no", 13), checkpoint_area("db.checkpoints"))

    assert type(verdict) is NotPermitted and verdict.part == "checkpoint"
    assert verdict.todo.startswith("Grant find, insert and update on that collection")


def test_wrong_settings_are_not_retried_for_a_checkpoint() -> None:
    error = ConfigurationError("x")

    assert type(classify(error, checkpoint_area("db.checkpoints"))) is Misconfigured


@pytest.mark.parametrize("code", [1, 13, 286, 280, 9, 10334, 166])
def test_every_error_describes_the_data(code: int) -> None:
    verdict = classify(OperationFailure("the server says", code))

    assert "the server says" in verdict.what
    assert verdict.data


def test_long_texts_are_shortened() -> None:
    text = "refused\n  twice, Timeout: 5.0s, Topology Description: <...>"

    shortened = str(classify(ServerSelectionTimeoutError(text)))

    assert "refused twice" in shortened and "Topology" not in shortened
    assert len(str(classify(OperationFailure("x" * 5000, 1)))) < 600


def test_pymongo_errors_are_translated() -> None:
    with pytest.raises(NotPermitted) as caught, translated():
        raise OperationFailure("no", 13)

    assert isinstance(caught.value.__cause__, OperationFailure)


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("bug")
