"""Options in the URI that the clients override, and warnings while a client is made."""

import gc
import socket
import sys
from contextlib import closing
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.mongo.client import history_client, state_client, stream_client
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
