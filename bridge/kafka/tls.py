"""The files of TLS, tried before a client is: it would take one that is of no use for a broker that is away."""

import os
import ssl
from pathlib import Path

from bridge.errors import Misconfigured
from bridge.settings.schema import KafkaSettings


def check_files(kafka: KafkaSettings) -> None:
    """Load what ``kafka.ssl_*`` names. Raises ``Misconfigured`` for a file that cannot be read, is none of these, or does not go with the others."""
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        path = getattr(kafka, name)
        if path and not os.access(Path(path), os.R_OK):
            raise _refused(
                f"kafka.{name}: cannot read {path}", "Check the path and its permissions"
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if kafka.ssl_cafile:
            context.load_verify_locations(cafile=kafka.ssl_cafile)
    except OSError as error:
        raise _refused(
            f"kafka.ssl_cafile: {kafka.ssl_cafile} has no certificates in it: {_reason(error)}",
            "Name a file of PEM certificates",
        ) from None
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        raise _refused(
            "kafka.ssl_keyfile is given without kafka.ssl_certfile", "Name both, or neither"
        )
    try:
        if kafka.ssl_certfile:  # an empty password, or a terminal would be asked for one
            context.load_cert_chain(
                kafka.ssl_certfile, kafka.ssl_keyfile or None, kafka.ssl_password.get_secret_value
            )
    except (OSError, ValueError) as error:
        raise _refused(
            f"kafka.ssl_certfile, kafka.ssl_keyfile and kafka.ssl_password do not go together: {_reason(error)}",
            "They are a PEM certificate, its private key, and what opens that key",
        ) from None


def _refused(what: str, todo: str) -> Misconfigured:
    return Misconfigured(what, "Nothing was read or sent", todo)


def _reason(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(getattr(error, "strerror", None) or error)
    return (
        error.reason.lower().replace("_", " ")
        if error.reason
        else "not PEM, or not opened by the password"
    )
