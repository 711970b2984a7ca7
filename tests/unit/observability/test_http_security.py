"""The password of the pages, and TLS: the readers that are admitted, and the certificate."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.status_client import read_status
from bridge.errors import Misconfigured, NotPermitted, Retryable
from bridge.observability.certificates import Certificates
from bridge.observability.http_request import Request, Response
from bridge.observability.http_security import Guard, certificate_of, guard_of
from bridge.observability.http_server import HttpServer
from bridge.observability.metrics import registry
from bridge.settings.http import HttpSettings
from tests.support import factories
from tests.support.fakes import FakeClock
from tests.support.http_crowd import ask
from tests.support.observed_bridge import ObservedBridge, status_of
from tests.support.servers import certificates

PASSWORD = "canary-fEd3"
PAGES = ["/metrics", "/readyz", "/status.json", "/", "/else"]


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def serve(settings: HttpSettings) -> HttpServer:
    clock = FakeClock()
    status = status_of(ObservedBridge(last_beat=clock.monotonic()), clock)
    return HttpServer(
        "127.0.0.1",
        0,
        status,
        registry=registry(status, ["running"], Certificates(factories.settings())),
        guard=guard_of(settings),
        certificate=certificate_of(settings),
    )


def settings_for(server: HttpServer, **changed: str) -> HttpSettings:
    return HttpSettings.model_validate({"port": server.port, **changed})


@pytest.fixture
def files(tmp_path: Path) -> certificates.Certificates:
    certificates.required()
    return certificates.Certificates(tmp_path / "certificates", "bridge")


@pytest.fixture
def secure(files: certificates.Certificates) -> Iterator[HttpServer]:
    with serve(HttpSettings(certfile=files.file("bridge"))) as server:
        yield server


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "authorization",
    ["", basic("bridge", "wrong"), basic("other", PASSWORD), "Basic ?", f"Bearer {PASSWORD}"],
)
def test_pages_require_the_password(path: str, authorization: str) -> None:
    answer = Guard("bridge", PASSWORD).admit(Request("GET", path, authorization=authorization))

    assert isinstance(answer, Response) and answer.status == 401
    assert ("WWW-Authenticate", 'Basic realm="job-bridge", charset="UTF-8"') in answer.headers


def test_the_password_opens_the_pages() -> None:
    request = Request("GET", "/status.json", authorization=basic("bridge", PASSWORD))

    admitted = Guard("bridge", PASSWORD).admit(request)

    assert isinstance(admitted, Request) and admitted.details
    assert PASSWORD not in repr(admitted) and request.authorization not in repr(admitted)


def test_liveness_needs_no_password() -> None:
    admitted = Guard("bridge", PASSWORD).admit(Request("GET", "/livez"))

    assert isinstance(admitted, Request) and not admitted.details


@pytest.mark.parametrize("details", [False, True])
def test_without_a_user_all_are_admitted(details: bool) -> None:
    """Without ``http.username`` no password is checked, so it admits no reader to the details."""
    request = Request("GET", "/status.json", authorization=basic("bridge", PASSWORD))

    admitted = Guard(details=details).admit(request)

    assert isinstance(admitted, Request) and admitted.details is details


def test_the_server_asks_for_the_password() -> None:
    settings = HttpSettings.model_validate({"username": "bridge", "password": PASSWORD})
    with serve(settings) as server:
        head = f"GET /status.json HTTP/1.1\r\nAuthorization: {basic('bridge', PASSWORD)}\r\n\r\n"

        assert ask(server.port, b"GET /status.json HTTP/1.1\r\n\r\n").code == 401
        assert ask(server.port, b"GET /livez HTTP/1.1\r\n\r\n").code == 200
        assert ask(server.port, head.encode()).code == 200


def test_status_sends_the_password() -> None:
    account = {"username": "bridge", "password": PASSWORD}
    with serve(HttpSettings.model_validate(account)) as server:
        assert read_status(settings_for(server, **account))["details"] is True
        with pytest.raises(NotPermitted, match="refuses the user or the password") as refused:
            read_status(settings_for(server, username="bridge", password="wrong-canary"))
        with pytest.raises(NotPermitted):
            read_status(settings_for(server))

    assert "canary" not in str(refused.value)


def test_pages_are_served_with_tls(secure: HttpServer, files: certificates.Certificates) -> None:
    context = ssl.create_default_context(cafile=files.authority)
    with (
        socket.create_connection(("127.0.0.1", secure.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = b""
        while part := client.recv(65536):
            text += part

    assert text.startswith(b"HTTP/1.1 200 ") and text.endswith(b"\n")
    length = int(text.partition(b"Content-Length: ")[2].split()[0])
    assert len(text.partition(b"\r\n\r\n")[2]) == length > 4096


def test_status_reads_from_a_tls_server(
    secure: HttpServer, files: certificates.Certificates, tmp_path: Path
) -> None:
    """It accepts the certificate of the file, and no other."""
    other = certificates.Certificates(tmp_path / "other", "bridge")

    assert read_status(settings_for(secure, certfile=files.file("bridge")))["state"] == "running"
    with pytest.raises(Retryable, match="not that of http"):
        read_status(settings_for(secure, certfile=other.file("bridge")))


def test_a_rotated_certificate_is_shown(
    secure: HttpServer, files: certificates.Certificates
) -> None:
    settings = settings_for(secure, certfile=files.file("bridge"))
    read_status(settings)

    files.rotate()

    assert read_status(settings)["state"] == "running"


def test_a_half_written_certificate_changes_nothing(
    secure: HttpServer,
    files: certificates.Certificates,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The former certificate stays in use; the log says it once."""
    former = str(tmp_path / "former.pem")
    shutil.copy(files.file("bridge"), former)
    Path(files.file("bridge")).write_text("-----BEGIN CERTIFICATE-----\n")

    for _ in range(2):
        assert read_status(settings_for(secure, certfile=former))["state"] == "running"

    assert caplog.text.count("the HTTP server uses the former certificate") == 1


def test_idle_tls_clients_leave_others_served(
    secure: HttpServer, files: certificates.Certificates
) -> None:
    """Clients that do not start the handshake, and clients that speak plain HTTP."""
    settings = settings_for(secure, certfile=files.file("bridge"))
    address = ("127.0.0.1", secure.port)
    idle = [socket.create_connection(address, timeout=20) for _ in range(50)]
    with socket.create_connection(address, timeout=20) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert b"200" not in plain.recv(4096)

    assert read_status(settings)["state"] == "running"
    for client in idle:
        client.close()


def test_the_server_ends_with_tls_clients(files: certificates.Certificates) -> None:
    server = serve(HttpSettings(certfile=files.file("bridge")))
    with server, socket.create_connection(("127.0.0.1", server.port), timeout=20):
        pass

    assert not [thread for thread in threading.enumerate() if thread.name == "http"]


def test_bad_certificate_files_are_refused(
    files: certificates.Certificates, tmp_path: Path
) -> None:
    """Each with one line that names the setting, and exit code 78."""
    other = certificates.Certificates(tmp_path / "other", "bridge")
    text = tmp_path / "text"
    text.write_text("no certificate")
    pair = files.file("bridge")
    for certfile, keyfile, words in (
        (str(tmp_path / "gone"), "", "http.certfile: cannot read"),
        (pair, str(tmp_path / "gone"), "http.keyfile: cannot read"),
        (str(text), "", "do not match"),
        (files.authority, "", "do not match"),
        (pair, other.file("bridge"), "key values mismatch"),
    ):
        with pytest.raises(Misconfigured, match=words) as refused:
            certificate_of(HttpSettings(certfile=certfile, keyfile=keyfile))
        assert refused.value.exit_code == 78 and "\n" not in str(refused.value)
