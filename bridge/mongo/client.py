"""Makes the MongoDB clients: for the stream, for short commands and for long queries.

Each can be replaced: a client of PyMongo keeps its password and its certificates for life.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient, timeout, version, version_tuple
from pymongo.errors import InvalidURI, PyMongoError
from pymongo.server_description import ServerDescription

from bridge.errors import Misconfigured
from bridge.mongo.errors import classify
from bridge.settings import Settings
from bridge.settings.hidden import hidden

Document = dict[str, Any]
Client = MongoClient[Document]

#: The bridge was tested with these versions. The package installs with older ones too, because the
#: notifier, which needs none, shares the environment of its host.
_FIRST_PYMONGO = (4, 20)
_FIRST_UNSUPPORTED_PYMONGO = (4, 21)
SUPPORTED_PYMONGO = "pymongo>={}.{},<{}.{}".format(*_FIRST_PYMONGO, *_FIRST_UNSUPPORTED_PYMONGO)
#: Milliseconds for which the server may hold a read without events, so an idle reader still turns.
AWAIT_MS = 1000
#: Seconds beyond the await after which a silent connection counts as broken.
_SILENCE_SECONDS = 10
_CONNECT_MS = 5000
#: How long to wait for a server that is to end the sessions of a client.
_CLOSE_SECONDS = 2.0
_PROBE_CONNECT_MS = 4000
_PROBE_ANSWER_MS = 2000
_PROBE_HEARTBEAT_MS = 30_000
_SAMPLE_MS = 30_000
#: Without an index MongoDB scans all jobs before it returns the first.
_LONG_QUERY_SECONDS = 3600


class SameServer:
    """A server selector that keeps its choice, because a cursor exists on a single mongos.

    If that server is down or no longer the primary, it chooses again; the new server then reports
    that it does not know the cursor.
    """

    def __init__(self) -> None:
        self._address: tuple[str, int | None] | None = None

    def __call__(self, servers: Sequence[ServerDescription]) -> Sequence[ServerDescription]:
        same = [server for server in servers if server.address == self._address]
        if not same and servers:
            same = [min(servers, key=lambda server: server.round_trip_time or 0)]
            self._address = same[0].address
        return same


class ReplaceableClient(MongoClient[Document]):
    """A client that can start again, with the password and the TLS files read again.

    Databases and collections keep a reference to their client, so the object stays the same.
    ``deadline_ms`` is the deadline of each command, whatever the URI contains.
    """

    def __init__(self, settings: Settings, deadline_ms: int | None = None, **options: Any) -> None:
        self._settings = settings
        self._own_options = {"timeoutMS": deadline_ms, **options}
        with _correctable():
            super().__init__(**_arguments(settings, self._own_options))

    def replace(self) -> None:
        """Start again with new connections; calls of other threads fail with an error of PyMongo.

        Raises:
            Misconfigured: A file cannot be used now; the client stays as it is.
        """
        arguments = _arguments(self._settings.with_present_secrets(), self._own_options)
        with _correctable():
            # Opened here: a call that is being made would otherwise mark it as opened.
            successor = MongoClient[Document](**{**arguments, "connect": True})
        # PyMongo's background tasks end with the object that started them.
        own = {name: self.__dict__[name] for name in ("_settings", "_own_options")}
        vars(successor).update(own, _started_by=successor)
        former: MongoClient[Document] = MongoClient.__new__(MongoClient)
        # A single assignment: other threads see the state of one of them, and nothing in between.
        former.__dict__, self.__dict__ = self.__dict__, successor.__dict__
        with timeout(_CLOSE_SECONDS):
            former.close()

    def close(self) -> None:
        """Close all connections; a server that does not answer costs seconds, not hours."""
        with timeout(_CLOSE_SECONDS):
            super().close()


def stream_client(settings: Settings) -> ReplaceableClient:
    """Return a client for the change stream.

    All commands go to the same server. They have no deadline, but a silent connection is closed.
    """
    return ReplaceableClient(
        settings, socketTimeoutMS=AWAIT_MS + _SILENCE_SECONDS * 1000, server_selector=SameServer()
    )


def state_client(settings: Settings) -> ReplaceableClient:
    """Return a client for short commands: 5 seconds each; writes wait for the majority."""
    return ReplaceableClient(settings, _CONNECT_MS, w="majority")


def probe_client(settings: Settings) -> ReplaceableClient:
    """Return a client for questions that find out whether MongoDB answers.

    Without ``timeoutMS``: PyMongo refuses a command whose deadline is shorter than the slowest
    round trip that it remembers, for many seconds after an outage.
    """
    return ReplaceableClient(
        settings,
        socketTimeoutMS=_PROBE_ANSWER_MS,
        connectTimeoutMS=_PROBE_CONNECT_MS,
        serverSelectionTimeoutMS=_PROBE_CONNECT_MS,
        retryReads=False,
        # The questions themselves find out whether the server answers.
        heartbeatFrequencyMS=_PROBE_HEARTBEAT_MS,
        serverMonitoringMode="poll",
    )


def history_client(settings: Settings) -> ReplaceableClient:
    """Return a client for long queries: without an index MongoDB first sorts all jobs."""
    return ReplaceableClient(settings, socketTimeoutMS=_LONG_QUERY_SECONDS * 1000)


def sample_client(settings: Settings) -> ReplaceableClient:
    """Return a client that samples a collection: the server limits the time of its queries."""
    return ReplaceableClient(settings, socketTimeoutMS=_SAMPLE_MS)


def check_connection_settings(settings: Settings) -> None:
    """Let PyMongo read ``mongo.uri`` and the files it names; nothing is connected or looked up.

    Raises:
        Misconfigured: PyMongo does not accept them, or its version is not supported.
    """
    # Their options differ, and with them the options of the URI that count.
    for make in (stream_client, state_client):
        make(settings).close()


def _require_supported_version() -> None:
    if not _FIRST_PYMONGO <= version_tuple[:2] < _FIRST_UNSUPPORTED_PYMONGO:
        raise Misconfigured(
            f"pymongo {version} is installed; the bridge supports {SUPPORTED_PYMONGO}",
            "Nothing was read or sent",
            f"pip install '{SUPPORTED_PYMONGO}'",
        )


def _arguments(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return PyMongo's arguments. Raises ``Misconfigured`` if its version is not supported."""
    _require_supported_version()
    mongo = settings.mongo
    uri = mongo.uri.get_secret_value()
    login: dict[str, Any] = {}
    if mongo.username:
        login = {"username": mongo.username, "password": mongo.password.get_secret_value()}
        if "authsource=" not in uri.lower():
            login["authSource"] = mongo.database
    return {
        "host": uri,
        "appname": "job-bridge",
        "connect": False,
        "readPreference": "primary",
        "connectTimeoutMS": _CONNECT_MS,
        "serverSelectionTimeoutMS": _CONNECT_MS,
        **login,
        **options,
    }


@contextmanager
def _correctable() -> Iterator[None]:
    """Raise ``Misconfigured`` for settings that PyMongo refuses.

    It only warns about a misspelt option in the URI and ignores it: ``tsl=true`` would turn TLS
    off. Here such a warning is an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The garbage collector may find an open socket of another client here.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        except InvalidURI as error:
            raise Misconfigured(
                f"mongo.uri is not a MongoDB connection string: {_without_secrets(error)}",
                "Nothing was read or sent",
                "Write it as mongodb://HOST:PORT/?replicaSet=rs0",
                part="mongodb",
            ) from None
        except PyMongoError as error:
            raise classify(error) from None
        # OSError: a file that an option names.
        except (Warning, ValueError, TypeError, OSError) as error:
            raise Misconfigured(
                f"mongo.uri does not work: {_without_secrets(error)}",
                "Nothing was read or sent",
                "Correct it",
                part="mongodb",
            ) from None


def _without_secrets(error: Exception) -> str:
    """Return the text of ``error``, unless it might repeat the URI with its password."""
    # PyMongo's suggestion that follows is for programmers.
    text = hidden(str(error)).split(" or maybe a camelCase")[0]
    return text if "@" not in text and "://" not in text else "it cannot be parsed"
