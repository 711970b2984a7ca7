"""The cause of a failed connection to Kafka, with the setting that may be wrong.

Both clients report most of them as a request without an answer; only the text of the error, or the
client's latest warning, contains the cause.
"""

import re
from typing import NamedTuple

from bridge.errors import RETRIED, BridgeError, Misconfigured, NotPermitted, Retryable, Unreachable

NOTHING_LOST = "Nothing is lost: unacknowledged messages are sent again, in order"
_CHECK_CONNECTION = "Check kafka.bootstrap_servers and kafka.security_protocol"
#: An address in the texts of both clients.
_ADDRESSES = (
    re.compile(r"ipv[46]#(\S+:\d+)"),
    re.compile(r"resolve '([^']+)'"),
    re.compile(r"\w+://([^/\s]+:\d+)/"),
    re.compile(r"([^\s'(\[,]+:\d+)(?:/bootstrap)?: "),
)


class _Cause(NamedTuple):
    """A text of a client or of OpenSSL, the event in words, and the advice."""

    pattern: str
    what: str
    todo: str
    error: type[BridgeError] = Unreachable


#: Waiting does not remove them, but new credentials, certificates or files do.
_REFUSED_CAUSES = (
    _Cause(
        r"Minor \(\d+\): (?!Cannot contact any KDC)",
        "Kerberos does not let this process log in",
        "Check the ticket of this process (klist), kafka.sasl_kerberos_service_name, and that the "
        "host names of the brokers are those of their principals",
        NotPermitted,
    ),
    _Cause(
        "certificate has expired|certificate is not yet valid",
        "Kafka's certificate expired, or is not valid yet",
        "Renew the broker's certificate; check the clock of this machine",
        Misconfigured,
    ),
    _Cause(
        "[Hh]ostname mismatch|IP address mismatch|not valid for",
        "Kafka's certificate is for another host name",
        "Use a host name of the certificate in kafka.bootstrap_servers and in the broker's "
        "advertised.listeners, or add this name to the certificate",
        Misconfigured,
    ),
    _Cause(
        "CERTIFICATE_VERIFY_FAILED|certificate verify failed|certificate could not be verified",
        "The broker's certificate is not trusted",
        "Check kafka.ssl_cafile and the host name in kafka.bootstrap_servers",
        Misconfigured,
    ),
    _Cause(
        r"sslv3 alert|tlsv1\d? alert|_ALERT_",
        "Kafka refuses TLS with this client",
        "Check kafka.ssl_certfile, kafka.ssl_keyfile, and that the brokers trust that certificate",
        Retryable,
    ),
)
#: The first that matches counts.
_CAUSES = (
    *_REFUSED_CAUSES,
    _Cause(
        "Cannot contact any KDC",
        "No server of Kerberos answers",
        "Check krb5.conf, and the network between this machine and the KDC",
    ),
    _Cause(
        "ECONNREFUSED|Connection refused",
        "Kafka refuses connections",
        f"{_CHECK_CONNECTION}, and that the broker runs",
    ),
    _Cause(
        "DNS Resolution failure|DNS lookup failed|Failed to resolve",
        "The host name of a broker cannot be resolved",
        f"{_CHECK_CONNECTION}, and the broker's advertised.listeners if the name is from there; "
        "this machine's name server must know it",
    ),
    _Cause(
        "Connection timed out|[Cc]onnection setup timed out|timed out in state CONNECT",
        "Kafka does not answer",
        f"{_CHECK_CONNECTION}, and the network between this machine and the broker",
    ),
)
#: The errors of both clients that say only that no server was found; a warning in brackets follows.
_WITHOUT_CAUSE = re.compile(
    r"(?:_\w+: Failed to get metadata: Local: [^(]*|KafkaTimeoutError: Unable to bootstrap from "
    r"\[[^\]]*\]) \((.*)\)"
)
#: Where librdkafka was when it wrote a warning, and how often it held the same one back.
_PLACE = re.compile(
    r"FAIL \[[^\]]*\] \[thrd:[^\]]*\]: "
    r"| \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)"
)
#: The texts of both clients if no server was found.
_NO_SERVER = re.compile("Unable to bootstrap|_TRANSPORT|_ALL_BROKERS_DOWN|_RESOLVE|NoBrokers")
#: The texts of both clients for those, and for a refused login.
_REFUSALS = re.compile(
    "|".join(cause.pattern for cause in _REFUSED_CAUSES)
    + "|SaslAuthenticationFailed|_AUTHENTICATION|SASL authentication error|Authentication failed"
)


def connection_failure(text: str) -> BridgeError:
    """Return the error for a connection or a request that failed with ``text``."""
    cause = next((cause for cause in _CAUSES if re.search(cause.pattern, text)), None)
    if cause is None:
        kind = Unreachable if _NO_SERVER.search(text) else Retryable
        what = f"Kafka is unreachable or failed: {text}"
        return kind(what, NOTHING_LOST, f"{_CHECK_CONNECTION}. {RETRIED}", part="kafka")
    retried = f". {RETRIED}" if issubclass(cause.error, Retryable) else ""
    what = f"{cause.what}{_where(text)}: {_shortened(text)}"
    return cause.error(what, NOTHING_LOST, f"{cause.todo}{retried}", part="kafka")


def is_refusal(warning: str) -> bool:
    """Return whether a client's warning is about credentials or certificates."""
    return bool(_REFUSALS.search(warning))


def _shortened(text: str) -> str:
    """Return the client's own text of a cause, once."""
    text = _PLACE.sub("", text)
    warning = _WITHOUT_CAUSE.fullmatch(text)
    return warning[1] if warning else text


def _where(text: str) -> str:
    for pattern in _ADDRESSES:
        if found := pattern.search(text):
            return f" at {found[1]}"
    return ""
