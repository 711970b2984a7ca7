"""The cause of a failed connection to MongoDB, in its own words."""

from __future__ import annotations

import pytest
from pymongo.errors import (
    ConfigurationError,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from bridge.errors import Misconfigured, Retryable
from bridge.mongo.connection_failures import TlsFailed
from bridge.mongo.errors import JOBS, checkpoint_area, classify

#: As PyMongo 4.20 with mongod 6.0 reports them; OpenSSL's own text is in brackets.
TIMEOUTS = " (configured timeouts: socketTimeoutMS: 20000.0ms, connectTimeoutMS: 20000.0ms)"
VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
CASES: list[tuple[str, type[Retryable], str, str]] = [
    (
        f"{VERIFY}certificate has expired (_ssl.c:1006)",
        TlsFailed,
        "MongoDB's certificate expired",
        "Renew the certificate",
    ),
    (
        f"{VERIFY}self-signed certificate in certificate chain (_ssl.c:1006)",
        TlsFailed,
        "MongoDB's certificate is not trusted",
        "tlsCAFile",
    ),
    (
        f"{VERIFY}IP address mismatch, certificate is not valid for '127.0.0.1'. (_ssl.c:1006)",
        TlsFailed,
        "MongoDB's certificate is for another host name",
        "host name of the certificate in mongo.uri",
    ),
    (
        "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        TlsFailed,
        "TLS with MongoDB failed",
        "Check tls,",
    ),
    ("connection closed", TlsFailed, "MongoDB closes connections", "tlsCertificateKeyFile"),
    ("[Errno 111] Connection refused", Retryable, "MongoDB refuses connections", "mongod runs"),
    (
        "[Errno -2] Name or service not known",
        Retryable,
        "The host name of MongoDB cannot be resolved",
        "rs.conf()",
    ),
    ("timed out", Retryable, "MongoDB does not answer", "the network"),
]
#: Texts without a server: PyMongo has reached none, or none of those that it reached fits.
WITHOUT_SERVER = [
    ("No replica set members found yet", "MongoDB does not answer", "the network"),
    ("No primary available for writes", "No primary of MongoDB can be reached", "rs.status()"),
    (
        'No replica set members match selector "Primary()"',
        "No primary of MongoDB can be reached",
        "rs.status()",
    ),
    (
        'No replica set members available for replica set name "rs1"',
        "No server of mongo.uri belongs to its replicaSet",
        "if mongod is a standalone, it becomes a replica set",
    ),
    (
        "Could not reach any servers in [('a', 1)]. Replica set is configured with internal "
        "hostnames or IPs?",
        "The members of MongoDB's replica set cannot be reached",
        "rs.conf()",
    ),
    ("connection pool paused", "MongoDB is unreachable", "has a primary"),
]


def selection_failure(cause: str, server: str = "mongo-1:27017") -> ServerSelectionTimeoutError:
    topology = "Timeout: 5.0s, Topology Description: <TopologyDescription ...>"
    return ServerSelectionTimeoutError(f"{server}: {cause}{TIMEOUTS}, {topology}")


@pytest.mark.parametrize(("text", "error", "what", "todo"), CASES)
def test_a_cause_has_its_words_and_setting(
    text: str, error: type[Retryable], what: str, todo: str
) -> None:
    classified = classify(selection_failure(text))

    assert type(classified) is error
    assert classified.what.startswith(what) and " at mongo-1:27017: " in classified.what
    assert "configured timeouts" not in classified.what
    assert todo in classified.todo and "Nothing is lost" in classified.data
    assert "replica set" not in classified.todo or "rs.conf()" in classified.todo


@pytest.mark.parametrize(("text", "what", "todo"), WITHOUT_SERVER)
def test_a_text_without_server_is_explained(text: str, what: str, todo: str) -> None:
    """Only a set that no server belongs to may be a standalone mongod."""
    classified = classify(ServerSelectionTimeoutError(f"{text}{TIMEOUTS}, Timeout: 5.0s, <...>"))

    assert classified.what == f"{what}: {text}".rstrip(".")
    assert todo in classified.todo
    assert ("standalone" in classified.todo) == ("replica set name" in text)


AWAY: list[PyMongoError] = [
    selection_failure("[Errno 111] Connection refused"),
    selection_failure("timed out"),
    NetworkTimeout("mongo-1:27017: timed out"),
    OperationFailure("interrupted at shutdown", 11600),
    OperationFailure("operation exceeded time limit", 50),
    OperationFailure("waiting for replication timed out", 64),
    OperationFailure("Authentication failed.", 18),
]


@pytest.mark.parametrize("failure", AWAY, ids=str)
def test_the_checkpoint_reports_the_same_cause(failure: PyMongoError) -> None:
    """MongoDB fails, and not the checkpoint: one failure has one text and one part."""
    of_jobs, of_checkpoint = classify(failure, JOBS), classify(failure, checkpoint_area("db.c"))

    assert of_checkpoint.what == of_jobs.what
    assert of_checkpoint.todo == of_jobs.todo
    assert of_checkpoint.part == of_jobs.part == "mongodb"


def test_each_server_of_the_list_is_named() -> None:
    text = f"a:1: [Errno 111] Connection refused{TIMEOUTS},b:2: [Errno 111] Connection refused"

    classified = classify(ServerSelectionTimeoutError(text))

    assert classified.what.startswith("MongoDB refuses connections at a:1, b:2")


def test_a_required_api_version_is_configuration() -> None:
    """PyMongo's monitor meets the refusal while no server is known."""
    text = "The apiVersion parameter is required, please configure your MongoClient's API version"
    for error in (ServerSelectionTimeoutError(text), OperationFailure(text, 498870)):
        for area in (JOBS, checkpoint_area("db.checkpoints")):
            classified = classify(error, area)

            assert type(classified) is Misconfigured
            assert "requireApiVersion" in classified.todo


def test_forbidden_scans_are_configuration() -> None:
    for area in (JOBS, checkpoint_area("db.checkpoints")):
        classified = classify(OperationFailure("No indexed plans available", 291), area)

        assert type(classified) is Misconfigured
        assert "notablescan" in classified.todo


@pytest.mark.parametrize("option", ["tags", "maxStalenessSeconds"])
def test_options_of_secondaries_are_explained(option: str) -> None:
    error = ConfigurationError(f"Read preference primary cannot be combined with {option}")

    classified = classify(error)

    assert type(classified) is Misconfigured
    assert "the bridge reads from the primary" in classified.what
    assert "Remove readPreferenceTags and maxStalenessSeconds" in classified.todo
