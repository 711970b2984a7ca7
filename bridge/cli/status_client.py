"""Reads ``/status.json`` of a running bridge, with the TLS and the password of the settings."""

import http.client
import json
import re
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

from bridge.errors import Misconfigured, NotPermitted
from bridge.settings.http import HttpSettings

_TIMEOUT_SECONDS = 5.0
_PATH = "/status.json"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)


def read_status(settings: HttpSettings) -> Any:
    """Return the document that answers at ``http.host`` and ``http.port``.

    The environment's proxy is not used: it is for other hosts.

    Raises:
        OSError, ValueError, HTTPException: No bridge answers there.
        NotPermitted: The bridge refuses the user or the password.
        Misconfigured: ``http.certfile`` cannot be read.
    """
    connection = _connection(settings)
    try:
        connection.request("GET", _PATH, headers=_authorization(settings))
        response = connection.getresponse()
        body = response.read()
        if response.status == http.client.UNAUTHORIZED:
            raise NotPermitted(
                f"The bridge at {settings.url(settings.port)} refuses the user or the password",
                "This does not mean that data was lost",
                "Set http.username and http.password as in the settings of the bridge",
            )
        if response.status != http.client.OK:
            raise ValueError(f"HTTP {response.status}")
        return json.loads(body)
    finally:
        connection.close()


def _connection(settings: HttpSettings) -> http.client.HTTPConnection:
    address = (settings.host, settings.port)
    if not settings.certfile:
        return http.client.HTTPConnection(*address, timeout=_TIMEOUT_SECONDS)
    expected = _certificate(settings.certfile)
    # The bridge has exactly the certificate of the file: no authority and no name is needed.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(*address, timeout=_TIMEOUT_SECONDS, context=context)
    try:
        connection.connect()
        if connection.sock.getpeercert(binary_form=True) != expected:
            raise ValueError("the certificate there is not that of http.certfile")
    except BaseException:
        connection.close()
        raise
    return connection


def _certificate(certfile: str) -> bytes:
    """Return the first certificate of a file, which is the server's own."""
    try:
        return ssl.PEM_cert_to_DER_cert(_PEM.findall(Path(certfile).read_text())[0])
    except (OSError, ValueError, IndexError):
        raise Misconfigured(
            f"http.certfile: cannot read a certificate from {certfile}",
            "This does not mean that data was lost",
            "Name the file that the bridge uses",
        ) from None


def _authorization(settings: HttpSettings) -> dict[str, str]:
    if not settings.username:
        return {}
    credentials = f"{settings.username}:{settings.password.get_secret_value()}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
