"""What can go wrong, classified by what the bridge does about it.

The class of an error is the verdict: :class:`Retryable` ends this run of the loop and begins again
from the last settled position, any other :class:`BridgeError` ends the process with ``exit_code``.
Drivers' exceptions are translated where they enter (``source/errors.py``, ``sink/errors.py``,
``checkpoint/``); above those rooms nobody has heard of PyMongo or Kafka clients.
"""


def one_line(text: str) -> str:
    """Return ``text`` as one line that moves no cursor: white space is a space, what cannot be printed an escape."""
    line = " ".join(text.split())
    return (
        line
        if line.isprintable()
        else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    )


class BridgeError(Exception):
    """A failure a person can meet: what happened, what it means for the data, what to do.

    ``what``, ``data`` and ``todo`` are each one clause without a full stop; ``str()`` joins them
    to one line. None of them may hold a secret. ``part`` is what failed: ``mongodb``, ``kafka``,
    ``checkpoint`` or the ``bridge``.
    """

    exit_code = 70
    title = "error"

    def __init__(self, what: str, data: str = "", todo: str = "", *, part: str = "bridge") -> None:
        self.part = part
        self.what, self.data, self.todo = (
            one_line(clause).rstrip(".") for clause in (what, data, todo)
        )
        super().__init__(
            ". ".join(clause for clause in (self.what, self.data, self.todo) if clause)
        )


#: What MongoDB answers a user it does not know or let: Unauthorized, AuthenticationFailed, AtlasError (bad auth), ReauthenticationRequired.
_REFUSES = frozenset({13, 18, 8000, 391})
_NOT_KNOWN = "Authentication failed"


def is_refused(error: BaseException) -> bool:
    """Whether MongoDB refuses this user; that may have been told to PyMongo's monitor, while no server was known."""
    return getattr(error, "code", None) in _REFUSES or (
        type(error).__name__ == "ServerSelectionTimeoutError" and _NOT_KNOWN in str(error)
    )


def short(error: BaseException) -> str:
    """What PyMongo says, in one short line: server selection repeats whole topologies, a refusal the whole command."""
    text = (
        str(error).split(", full error:")[0].split(", Timeout:")[0].split(" to execute command")[0]
    )
    return " ".join(text.split())[:300]


def is_lookup(error: BaseException) -> bool:
    """Whether ``error`` came of asking a name server, as for a ``mongodb+srv`` URI: a name that is not there may be later.

    PyMongo calls that configuration, too; dnspython is what it asks with.
    """
    return type(error.__cause__).__module__.startswith("dns.")


#: What to do while MongoDB is out of reach, whoever finds out first.
MONGODB_AWAY = (
    "Check mongo.uri, the replicaSet in it and that a primary is up; a standalone mongod becomes a replica set with "
    "--replSet rs0 and, once, rs.initiate(); a running bridge tries again by itself"
)


class Retryable(BridgeError):
    """The same may succeed later: wait and run again from the last settled position."""

    exit_code = 75
    title = "waiting"


class SendFailed(BridgeError):
    """A message that had to be acknowledged within a deadline was not."""

    exit_code = 75
    title = "send failed"


class Usage(BridgeError):
    """The command line asks for something that makes no sense."""

    exit_code = 64
    title = "usage"


class Fenced(BridgeError):
    """Another bridge of the same name owns the checkpoint now."""

    exit_code = 76
    title = "fenced"


class NotPermitted(BridgeError):
    """MongoDB or Kafka knows us and says no, or does not know us."""

    exit_code = 77
    title = "not permitted"


class Misconfigured(BridgeError):
    """A setting, the topic or the deployment has to be changed by a person."""

    exit_code = 78
    title = "configuration"


class ResumePointLost(BridgeError):
    """The oplog no longer holds the events after the checkpoint."""

    exit_code = 80
    title = "history lost"


class Unreadable(ResumePointLost):
    """An event the server can never hand over; the stream cannot be read past it, but the jobs' history tells what it told."""

    exit_code = 82
    title = "poison event"


class PoisonEvent(BridgeError):
    """An event that can neither be sent nor set aside."""

    exit_code = 82
    title = "poison event"


class CheckpointUnusable(BridgeError):
    """The stored checkpoint is foreign, corrupt or from a newer version."""

    exit_code = 83
    title = "checkpoint unusable"
