"""Options in the URI that the clients override, and warnings while a client is made."""

import gc
import re
import socket
import sys
from contextlib import closing
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.errors import Misconfigured
from bridge.mongo.client import (
    check_connection_settings,
    history_client,
    state_client,
    stream_client,
)
from tests.support.factories import settings

URI = "mongodb://127.0.0.1:1/?timeoutMS=3000"


@pytest.mark.parametrize(
    ("make", "seconds"), [(stream_client, None), (history_client, None), (state_client, 5.0)]
)
def test_no_client_uses_the_deadline_of_the_uri(make: object, seconds: float | None) -> None:
    """The stream waits for events and the history sorts; a deadline would end both repeatedly."""
    assert callable(make)
    with closing(make(settings(mongo__uri=URI))) as client:
        assert client.options.timeout == seconds


def test_sockets_of_others_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The garbage collector may find sockets of the Kafka client while a client is made."""
    unraisable: list[Any] = []

    def collecting(*arguments: Any, **options: Any) -> MongoClient[Any]:
        socket.socket()
        gc.collect()
        return MongoClient(*arguments, **options)

    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr("bridge.mongo.client.MongoClient", collecting)
    with closing(stream_client(settings(mongo__uri=URI))):
        pass

    assert unraisable == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("host/?bogus=x", "Unknown option"),
        ("u:CAN@ARY@host", "Username and password must be escaped"),
        ("u:CAN/ARY@host", "Port contains non-digit characters"),
        ("host:27017:99999", "Reserved characters such as ':'"),
        ("host/?tls=true&tlsAllowInvalidHostnames=1", "must be 'true' or 'false'"),
        ("host/?compressors=foo", "Unsupported compressor"),
        ("host/?readPreference=foo", "Not a valid read preference"),
        ("host/?tlsCertificateKeyFile=/nonexistent", "tlscertificatekeyfile file is not readable"),
        ("host/?readPreferenceTags=a:b", "contains readPreferenceTags"),
        ("host/?w=0&journal=true", "Cannot set w to 0 and j to True"),
    ],
)
def test_the_settings_of_the_connection_are_tried(uri: str, words: str) -> None:
    """Without a connection, and with the error of the client that would be made."""
    given = settings(mongo__uri=f"mongodb://{uri}")

    with pytest.raises(Misconfigured, match=re.escape(words)) as tried:
        check_connection_settings(given)
    with pytest.raises(Misconfigured) as made:
        stream_client(given)
    assert str(tried.value) == str(made.value)
    assert "CAN" not in str(tried.value) and "ARY" not in str(tried.value)


@pytest.mark.parametrize("uri", ["mongodb+srv://u:p@cluster.example.com", "mongodb://h:1,i:2"])
def test_no_name_is_looked_up(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a name server was asked")

    for function in ("socket.getaddrinfo", "dns.resolver.resolve", "dns.asyncresolver.resolve"):
        monkeypatch.setattr(function, refuse)

    check_connection_settings(settings(mongo__uri=uri))
