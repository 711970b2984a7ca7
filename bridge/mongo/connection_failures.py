"""The cause of a failed connection to MongoDB, with the setting that may be wrong.

PyMongo reports each as a server that was not found in time; only its text contains the cause.
"""

import re
from typing import NamedTuple

from bridge.errors import RETRIED, Retryable

NOTHING_LOST = "Nothing is lost: the bridge resumes from the last stored position"
_PRIMARY = (
    "Wait for an election; if it lasts, look at rs.status(): a majority of the members must be up, "
    "and a new set needs rs.initiate() once"
)
_RESOLVE = (
    "Check the host name: it is in mongo.uri, or a member of the replica set announces it "
    "(rs.conf()); this machine's name server must know it"
)
#: PyMongo's text of each server: its address, and then the event.
_SERVER = re.compile(r"(?:^|,)\s*([^\s,]+:\d+): ")
_TIMEOUTS = re.compile(r" \(configured timeouts: [^)]*\)")


class TlsFailed(Retryable):
    """TLS with MongoDB failed; new certificates may make it work."""


class _Cause(NamedTuple):
    """A text of PyMongo or OpenSSL, the event in words, and the advice."""

    pattern: str
    what: str
    todo: str
    error: type[Retryable] = Retryable


#: The first that matches counts.
_CAUSES = (
    _Cause(
        "certificate has expired|certificate is not yet valid",
        "MongoDB's certificate expired, or is not valid yet",
        "Renew the certificate of mongod; check the clock of this machine",
        TlsFailed,
    ),
    _Cause(
        "Hostname mismatch|IP address mismatch|not valid for",
        "MongoDB's certificate is for another host name",
        "Use a host name of the certificate in mongo.uri, or add this name to the certificate",
        TlsFailed,
    ),
    _Cause(
        "CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "MongoDB's certificate is not trusted",
        "Check tlsCAFile in mongo.uri: it must contain the authority that signed the certificate",
        TlsFailed,
    ),
    _Cause(
        r"\[SSL|SSL handshake failed|EOF occurred in violation of protocol",
        "TLS with MongoDB failed",
        "Check tls, tlsCAFile and tlsCertificateKeyFile in mongo.uri",
        TlsFailed,
    ),
    _Cause(
        "Connection refused",
        "MongoDB refuses connections",
        "Check that mongod runs, and the host and port in mongo.uri",
    ),
    _Cause(
        "Name or service not known|name resolution|nodename nor servname|No address associated",
        "The host name of MongoDB cannot be resolved",
        _RESOLVE,
    ),
    _Cause(
        "connection closed",
        "MongoDB closes connections",
        "See the log of mongod; if it requires TLS or a client certificate, check tls and "
        "tlsCertificateKeyFile in mongo.uri",
        TlsFailed,
    ),
    _Cause(
        "for replica set name",
        "No server of mongo.uri belongs to its replicaSet",
        "Check replicaSet in mongo.uri; if mongod is a standalone, it becomes a replica set with "
        "--replSet rs0 and, once, rs.initiate()",
    ),
    _Cause(
        "internal hostnames",
        "The members of MongoDB's replica set cannot be reached",
        "This machine must reach the host names of rs.conf(), which replace those of mongo.uri",
    ),
    _Cause(
        "[Nn]o primary|[Nn]ot primary|No replica set members match selector",
        "No primary of MongoDB can be reached",
        _PRIMARY,
    ),
    _Cause(
        "timed out|found yet",
        "MongoDB does not answer",
        "Check the host and port in mongo.uri, and the network between this machine and mongod",
    ),
)
_UNKNOWN = _Cause(
    "", "MongoDB is unreachable", "Check mongo.uri, and that mongod runs and has a primary"
)


def connection_failure(text: str) -> Retryable:
    """Return the error for a connection that failed with ``text``, PyMongo's text on a line."""
    text = _TIMEOUTS.sub("", text)
    cause = next((cause for cause in _CAUSES if re.search(cause.pattern, text)), _UNKNOWN)
    servers = ", ".join(dict.fromkeys(_SERVER.findall(text)))
    where = f" at {servers}" if servers else ""
    return cause.error(
        f"{cause.what}{where}: {text}", NOTHING_LOST, f"{cause.todo}. {RETRIED}", part="mongodb"
    )
