"""Checks every precondition of ``run``, with advice for each problem; changes nothing."""

import socket
from collections.abc import Container, Iterator
from functools import partial

from bridge.app.finding import Finding, guarded
from bridge.app.plain_text import plain_text_findings
from bridge.app.preflight_kafka import check_kafka
from bridge.app.preflight_mongodb import check_mongodb
from bridge.errors import AddressInUse
from bridge.hints import Hint
from bridge.observability.http_security import certificate_of
from bridge.observability.http_server import cannot_serve
from bridge.settings import Settings


def preflight(settings: Settings, *, without: Container[str] = ()) -> list[Finding]:
    """Return all findings: MongoDB first, then Kafka, then HTTP, then connections without TLS.

    An unreachable part is a single failure; the other parts are still checked.

    Args:
        without: the parts that are not checked: ``mongodb``, ``kafka`` or ``http``.
    """
    checks = {"mongodb": check_mongodb, "kafka": check_kafka, "http": _check_http}
    return [
        finding
        for subject, check in checks.items()
        if subject not in without
        for finding in guarded(subject, partial(check, settings))
    ] + [*plain_text_findings(settings)]


def _check_http(settings: Settings) -> Iterator[Finding]:
    host, port = settings.http.host, settings.http.port
    if certificate_of(settings.http):
        yield Finding("ok", "http", "TLS with the certificate of http.certfile")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        failure = cannot_serve(host, port, error)
        if not isinstance(failure, AddressInUse):
            raise failure from None
        yield Finding(
            "warning",
            "http",
            f"{host}:{port} is in use",
            f"nothing, if the running bridge uses it ('{Hint.STATUS}' asks it); else set http.port",
        )
    else:
        yield Finding("ok", "http", f"{host}:{port} is free")
