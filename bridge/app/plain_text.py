"""Finds connections without TLS to anything but this machine or a private network."""

import ipaddress
import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from bridge.app.finding import Finding
from bridge.settings import Settings
from bridge.settings.mongo_uri import plain_hosts

logger = logging.getLogger("bridge")

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def plain_text_findings(settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each part of the bridge that uses a public address without TLS.

    A host name that cannot be resolved is left out: the connection to it fails anyway.
    """
    if hosts := _public(plain_hosts(settings.mongo.uri.get_secret_value())):
        text = f"jobs and passwords pass public networks without TLS: {hosts}"
        yield Finding("warning", "mongodb", text, "add tls=true to mongo.uri")
    kafka = settings.kafka
    if "SSL" not in kafka.security_protocol and (hosts := _public(_broker_hosts(settings))):
        content = "messages and the password" if kafka.sasl_username else "messages"
        todo = f"set kafka.security_protocol = {'SASL_SSL' if kafka.uses_sasl else 'SSL'}"
        text = f"{content} pass public networks without TLS: {hosts}"
        yield Finding("warning", "kafka", text, todo)
    url = urlsplit(kafka.sasl_oauth_token_url)
    if url.scheme == "http" and (hosts := _public([url.hostname or ""])):
        text = f"the client's secret and its tokens pass public networks without TLS: {hosts}"
        yield Finding("warning", "kafka", text, "use https in kafka.sasl_oauth_token_url")
    if not settings.http.certfile and (hosts := _public([_listening_host(settings)])):
        content = "the pages and their password" if settings.http.username else "the pages"
        text = f"{content} are served on a public address without TLS: {hosts}"
        yield Finding("warning", "http", text, "set http.certfile, or a private http.host")


def warn_of_plain_text(settings: Settings) -> None:
    """Log the findings, from a thread of its own: a name server may be slow."""

    def look() -> None:
        for finding in plain_text_findings(settings):
            logger.warning("%s: %s; %s", finding.subject, finding.text, finding.todo)

    threading.Thread(target=look, name="plain-text", daemon=True).start()


def _broker_hosts(settings: Settings) -> list[str]:
    return [server.rpartition(":")[0].strip("[]") for server in settings.kafka.servers()]


def _listening_host(settings: Settings) -> str:
    """Return the host of the pages; for all addresses, the name of this machine."""
    host = settings.http.host
    return socket.gethostname() if host in _ALL_ADDRESSES else host


def _public(hosts: Iterable[str]) -> str:
    """Return the hosts with a public address, in words; empty without such hosts."""
    return ", ".join(host for host in hosts if any(map(_is_public, _addresses(host))))


def _addresses(host: str) -> set[str]:
    try:
        # An address of IPv6 may have a zone.
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_global)
