"""Makes the MongoDB clients: one for the stream, one for everything with a deadline."""

import warnings
from collections.abc import Sequence
from typing import Any

from pymongo import MongoClient
from pymongo.errors import InvalidURI, PyMongoError
from pymongo.server_description import ServerDescription

from bridge.errors import Misconfigured
from bridge.mongo.errors import classify
from bridge.settings import Settings

Document = dict[str, Any]
Client = MongoClient[Document]

#: How long the server may hold an empty read, in milliseconds: the pulse of an idle bridge.
AWAIT_MS = 1000
#: A path that went silent is noticed after the await and so many seconds more.
_SILENCE_SECONDS = 10
_CONNECT_MS = 5000
#: How long a query of the history may be silent: without an index MongoDB looks through all jobs before it answers.
_PATIENCE_SECONDS = 3600


class SameServer:
    """A server selector that stays with the server it chose: a cursor lives on one mongos only.

    Where that server is gone, or is no longer the primary, the next is chosen; it does not know
    the cursor, and says so.
    """

    def __init__(self) -> None:
        self._address: tuple[str, int | None] | None = None

    def __call__(self, servers: Sequence[ServerDescription]) -> Sequence[ServerDescription]:
        same = [one for one in servers if one.address == self._address]
        if not same and servers:
            same = [min(servers, key=lambda one: one.round_trip_time or 0)]
            self._address = same[0].address
        return same


def stream_client(settings: Settings) -> Client:
    """A client for the change stream: no deadline on a command, one on the silence of its socket, and one server for all."""
    return _client(
        settings, socketTimeoutMS=AWAIT_MS + _SILENCE_SECONDS * 1000, server_selector=SameServer()
    )


def state_client(settings: Settings) -> Client:
    """A client for short commands: each ends within 5 seconds, writes wait for the majority."""
    return _client(settings, deadline_ms=_CONNECT_MS, w="majority")


def history_client(settings: Settings) -> Client:
    """A client for long queries: without an index MongoDB sorts all jobs before it gives the first."""
    return _client(settings, socketTimeoutMS=_PATIENCE_SECONDS * 1000)


def _client(settings: Settings, deadline_ms: int | None = None, **options: Any) -> Client:
    """Make a client; ``deadline_ms`` is that of each command, whatever the URI says.

    A warning of PyMongo's about the URI (a misspelt option) is an error here, because it would
    otherwise be ignored: ``tsl=true`` would mean no TLS.
    """
    mongo = settings.mongo
    if mongo.username:
        options |= {"username": mongo.username, "password": mongo.password.get_secret_value()}
        if "authsource=" not in mongo.uri.get_secret_value().lower():
            options["authSource"] = mongo.database
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return MongoClient(
                mongo.uri.get_secret_value(),
                appname="job-bridge",
                connect=False,
                readPreference="primary",
                timeoutMS=deadline_ms,
                connectTimeoutMS=_CONNECT_MS,
                serverSelectionTimeoutMS=_CONNECT_MS,
                **options,
            )
        except InvalidURI as error:
            raise Misconfigured(
                f"mongo.uri is no MongoDB connection string: {_safe(str(error))}",
                "Nothing was read or sent",
                "It looks like mongodb://HOST:PORT/?replicaSet=rs0",
            ) from None
        except PyMongoError as error:
            raise classify(error) from None
        except (Warning, ValueError, TypeError, OSError) as error:  # OSError: a file named in it
            raise Misconfigured(
                f"mongo.uri has an option that does not work: {_safe(str(error))}",
                "Nothing was read or sent",
                "Correct or remove it",
            ) from None


def _safe(text: str) -> str:
    """Messages about a URI may repeat it; what could be a password is not worth the help."""
    text = text.split(" or maybe a camelCase")[0]  # what PyMongo tells programmers
    return text if "@" not in text and "://" not in text else "it cannot be parsed"
