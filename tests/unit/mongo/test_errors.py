"""The table of MongoDB's errors, line by line."""

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
from bridge.mongo.errors import TokenRefused, classify, translated
from tests.support.factories import settings

#: The driver specification's list of resumable errors, and what servers are known to send besides.
PASSING = (
    6,
    7,
    43,
    50,
    63,
    89,
    91,
    133,
    134,
    150,
    175,
    189,
    211,
    234,
    237,
    262,
    9001,
    10107,
    11600,
    11601,
    11602,
    13388,
    13435,
    13436,
    433,
    449,
    1,
)
CODES: list[tuple[type[BridgeError], tuple[int, ...]]] = [
    (Retryable, PASSING),
    (NotPermitted, (13, 18, 8000, 391)),
    (ResumePointLost, (286, 136)),
    (TokenRefused, (280, 260)),
    (
        CheckpointUnusable,
        (9, 15, 40647, 40648, 40649, 50788, 50795, 50796, 50811, 50854, 51055, 51057),
    ),
    (Unreadable, (10334,)),
    (Misconfigured, (166, 40573, 40324, 40415, 20, 72, 47)),
]


@pytest.mark.parametrize(
    ("verdict", "code"), [(verdict, code) for verdict, codes in CODES for code in codes]
)
def test_each_code_has_its_verdict(verdict: type[BridgeError], code: int) -> None:
    assert type(classify(OperationFailure("the server says", code))) is verdict


@pytest.mark.parametrize(
    "answer",
    [dns.resolver.NoNameservers, dns.exception.Timeout, dns.resolver.NXDOMAIN],
    ids=lambda one: one.__name__,
)
def test_a_name_that_is_not_found_is_waited_for(
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


def test_a_code_nobody_knows_is_tried_again() -> None:
    assert type(classify(OperationFailure("the server says", 99_999))) is Retryable
    assert type(classify(OperationFailure("the server says"))) is Retryable


def test_the_servers_own_word_that_history_is_lost_is_heard() -> None:
    error = OperationFailure("gone", 99_999, {"errorLabels": ["NonResumableChangeStreamError"]})

    assert type(classify(error)) is ResumePointLost


def test_a_refused_token_is_not_history_lost_although_the_server_labels_it_alike() -> None:
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
def test_what_time_may_cure_is_waited_out(error: PyMongoError) -> None:
    verdict = classify(error)

    assert type(verdict) is Retryable
    assert verdict.part == "mongodb"


def test_a_refusal_is_heard_where_the_driver_waits_for_a_server() -> None:
    """Its monitor was refused, and the operation knows only that no server is known."""
    error = ServerSelectionTimeoutError(
        "localhost:27017: Authentication failed., full error: {'ok': 0.0, 'code': 18}, Timeout: 5.0s, Topology Description: <...>"
    )

    assert isinstance(classify(error), NotPermitted)


@pytest.mark.parametrize("error", [InvalidURI("x"), ConfigurationError("x")])
def test_settings_that_do_not_work_are_not_waited_out(error: PyMongoError) -> None:
    assert type(classify(error)) is Misconfigured


@pytest.mark.parametrize("code", [1, 13, 286, 280, 9, 10334, 166])
def test_every_verdict_says_what_it_means_for_the_data(code: int) -> None:
    verdict = classify(OperationFailure("the server says", code))

    assert "the server says" in verdict.what
    assert verdict.data


def test_only_the_short_half_of_a_long_error_is_said() -> None:
    text = "refused\n  twice, Timeout: 5.0s, Topology Description: <...>"

    said = str(classify(ServerSelectionTimeoutError(text)))

    assert "refused twice" in said and "Topology" not in said
    assert len(str(classify(OperationFailure("x" * 5000, 1)))) < 600


def test_drivers_errors_are_translated_where_they_enter() -> None:
    with pytest.raises(NotPermitted) as caught, translated():
        raise OperationFailure("no", 13)

    assert isinstance(caught.value.__cause__, OperationFailure)


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("bug")
