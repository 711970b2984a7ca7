"""A client of MongoDB that is replaced while other threads use it."""

from __future__ import annotations

import threading
from contextlib import closing

from pymongo.errors import PyMongoError

from bridge.demo.servers.process import poll
from bridge.mongo.client import ReplaceableClient, state_client
from tests.support.factories import settings
from tests.support.servers.mongo import MongoDeployment

THREADS, REPLACEMENTS = 4, 20


class Caller:
    """Calls the server again and again, on a thread of its own."""

    def __init__(self, client: ReplaceableClient, stop: threading.Event) -> None:
        self.calls = 0
        self.errors: list[Exception] = []
        self._collection = client.get_database("db").get_collection("replaced")
        self._stop = stop
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def await_calls(self) -> None:
        """Wait for two successful calls: the first may have been made before."""
        enough = self.calls + 2
        poll(lambda: self.calls >= enough, "a call with the new client", 30)

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._collection.update_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True)
                self.calls += 1
            except Exception as error:  # noqa: BLE001 - the test judges it
                self.errors.append(error)


def test_calls_meanwhile_fail_with_known_errors(mongo: MongoDeployment) -> None:
    """An unknown error would end the bridge as a bug."""
    with closing(state_client(settings(mongo__uri=mongo.uri))) as client:
        stop = threading.Event()
        callers = [Caller(client, stop) for _ in range(THREADS)]
        for _ in range(REPLACEMENTS):
            client.replace()
            for caller in callers:
                caller.await_calls()
        stop.set()
        for caller in callers:
            caller.join()
    unknown = [
        error
        for caller in callers
        for error in caller.errors
        if not isinstance(error, PyMongoError)
    ]
    assert unknown == []
