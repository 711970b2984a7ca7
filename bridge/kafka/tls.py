"""Checks the TLS files before a client uses them.

A client would report an unusable file as an unreachable broker.
"""

import os
import ssl
from pathlib import Path

from bridge.errors import Misconfigured
from bridge.settings.kafka import KafkaSettings

_AUTHORITIES = ("ssl_cafile", "sasl_oauth_cafile")


def check_files(kafka: KafkaSettings) -> None:
    """Load the files that ``kafka.ssl_*`` and ``kafka.sasl_oauth_cafile`` name.

    Raises:
        Misconfigured: A file is unreadable, has the wrong content, or does not match the others.
    """
    _check_readable(kafka)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in _AUTHORITIES:
        _load_authorities(context, name, getattr(kafka, name))
    _load_certificate(context, kafka)


def _check_readable(kafka: KafkaSettings) -> None:
    for name in (*_AUTHORITIES, "ssl_certfile", "ssl_keyfile"):
        path = getattr(kafka, name)
        if path and not os.access(Path(path), os.R_OK):
            raise _file_error(
                f"kafka.{name}: cannot read {path}", "Check the path and its permissions"
            )


def _load_authorities(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        if path:
            context.load_verify_locations(cafile=path)
    except OSError as error:
        raise _file_error(
            f"kafka.{name}: {path} contains no certificates: {_reason(error)}",
            "Name a file of PEM certificates",
        ) from None


def _load_certificate(context: ssl.SSLContext, kafka: KafkaSettings) -> None:
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        raise _file_error(
            "kafka.ssl_keyfile is set without kafka.ssl_certfile", "Set both, or neither"
        )
    try:
        if kafka.ssl_certfile:
            # The password is passed even if it is empty: OpenSSL would ask the terminal for it.
            context.load_cert_chain(
                kafka.ssl_certfile, kafka.ssl_keyfile or None, kafka.ssl_password.get_secret_value
            )
    except (OSError, ValueError) as error:
        raise _file_error(
            "kafka.ssl_certfile, kafka.ssl_keyfile and kafka.ssl_password do not match: "
            f"{_reason(error)}",
            "They must be a PEM certificate, its private key, and the password of that key",
        ) from None


def _file_error(problem: str, action: str) -> Misconfigured:
    return Misconfigured(problem, "Nothing was read or sent", action, part="kafka")


def _reason(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(getattr(error, "strerror", None) or error)
    if error.reason:
        return error.reason.lower().replace("_", " ")
    return "not PEM, or the password does not decrypt it"
