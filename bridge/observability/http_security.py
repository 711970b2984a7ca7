"""The password and the certificate of the HTTP server."""

import binascii
import hashlib
import hmac
import logging
import os
import ssl
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from bridge.errors import Misconfigured
from bridge.observability.http_request import Request, Response
from bridge.settings.http import HttpSettings

logger = logging.getLogger(__name__)

#: Answered without a password, for the probes of supervisors.
_OPEN_PATHS = frozenset({"/livez"})
_CHALLENGE = ("WWW-Authenticate", 'Basic realm="job-bridge", charset="UTF-8"')


class Guard:
    """Admits the requests that may be answered (basic authentication, RFC 7617).

    Without a user every request is admitted.
    """

    def __init__(self, username: str = "", password: str = "", *, details: bool = False) -> None:
        self._expected = _digest(f"{username}:{password}".encode()) if username else None
        self._details = details

    def admit(self, request: Request) -> Request | Response:
        """Return the request, marked with whether its reader sees details, or a refusal."""
        authenticated = self._authenticated(request)
        if self._expected is not None and not authenticated and request.path not in _OPEN_PATHS:
            return Response.of_status(HTTPStatus.UNAUTHORIZED, _CHALLENGE)
        return replace(request, details=self._details or authenticated)

    def _authenticated(self, request: Request) -> bool:
        given = _credentials(request.authorization)
        if self._expected is None or given is None:
            return False
        # Digests have the same length, so the comparison takes the same time for each password.
        return hmac.compare_digest(_digest(given), self._expected)


class ServerCertificate:
    """The certificate of the server and its key; loaded again when a file changes.

    Raises:
        Misconfigured: A file is unreadable, or the files do not match.
    """

    def __init__(self, certfile: str, keyfile: str) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._stamps = self._read_stamps()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection.

        Files that cannot be used now, for example while they are replaced, leave the former
        certificate in use.
        """
        stamps = self._read_stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = self._load()
                logger.info("the certificate of the HTTP server was read again")
            except Misconfigured as error:
                logger.warning("%s; the HTTP server uses the former certificate", error.what)
        return self._context

    def _load(self) -> ssl.SSLContext:
        for name, path in (("certfile", self._certfile), ("keyfile", self._keyfile)):
            if path and not os.access(path, os.R_OK):
                raise _file_error(f"http.{name}: cannot read {path}", "Check the path and the mode")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # With a password, OpenSSL does not ask the terminal for it.
            context.load_cert_chain(self._certfile, self._keyfile or None, lambda: "")
        except (OSError, ValueError) as error:
            raise _file_error(
                f"http.certfile and http.keyfile do not match: {_reason(error)}",
                "They must be a PEM certificate and its private key, without a password",
            ) from None
        return context

    def _read_stamps(self) -> Sequence[object]:
        return [_stamp(path) for path in (self._certfile, self._keyfile) if path]


def guard_of(http: HttpSettings) -> Guard:
    """Return the guard that the settings ask for."""
    password = http.password.get_secret_value()
    return Guard(http.username, password, details=http.details == "on")


def certificate_of(http: HttpSettings) -> ServerCertificate | None:
    """Return the certificate that the settings name, None for HTTP without TLS.

    Raises:
        Misconfigured: A file is unreadable, or the files do not match.
    """
    return ServerCertificate(http.certfile, http.keyfile) if http.certfile else None


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()


def _credentials(authorization: str) -> bytes | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _stamp(path: str) -> object:
    """Return a value that changes with the file; a replaced file has another inode."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _file_error(problem: str, todo: str) -> Misconfigured:
    return Misconfigured(problem, "Nothing was read or sent", todo)


def _reason(error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return str(getattr(error, "strerror", None) or error)
    if error.reason:
        return error.reason.lower().replace("_", " ")
    return "not PEM, or the key has a password"
