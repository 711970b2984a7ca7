"""The errors of the bridge, classified by how it reacts to each.

The class of an error is the verdict: after :class:`Retryable` the bridge starts again from the last
settled position, any other :class:`BridgeError` ends the process with ``exit_code``. ``mongo/`` and
``kafka/`` translate the exceptions of their drivers, so no other room handles those.
"""

#: Advice for a failure that passes by itself. A command that ends leaves it out.
RETRIED = "A running bridge retries by itself"


def one_line(text: str) -> str:
    """Return ``text`` as one printable line: white space becomes a space, the rest is escaped."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in line
    )


class BridgeError(Exception):
    """A failure that an operator can meet.

    ``str()`` joins the three clauses to one line. None of them may contain a secret.

    Args:
        what: what happened, a clause without a full stop.
        data: what it means for the data.
        todo: how to fix it.
        part: the part that failed: ``mongodb``, ``kafka``, ``checkpoint`` or ``bridge``.
    """

    exit_code = 70
    title = "error"

    def __init__(self, what: str, data: str = "", todo: str = "", *, part: str = "bridge") -> None:
        self.part = part
        self.what = one_line(what).rstrip(".")
        self.data = one_line(data).rstrip(".")
        self.todo = one_line(todo).rstrip(".")
        super().__init__(
            ". ".join(clause for clause in (self.what, self.data, self.todo) if clause)
        )


class Retryable(BridgeError):
    """A failure that may pass: wait, then start again from the last settled position."""

    exit_code = 75
    title = "waiting"


class Unreachable(Retryable):
    """No server answered. The attempt waited for one, so the next may follow soon."""


class Stalled(Retryable):
    """A client has acknowledged nothing for a minute; a new client takes its place."""


class SendFailed(BridgeError):
    """Kafka did not acknowledge a message within its deadline."""

    exit_code = 75
    title = "send failed"


class MessageTooLarge(SendFailed):
    """Kafka does not have the message: its topic accepts no message of this size."""

    #: A further attempt cannot succeed either, as with ``kafka.on_oversize = stop``.
    exit_code = 82
    title = "message too large"


class Usage(BridgeError):
    """The command line asks for something that makes no sense."""

    exit_code = 64
    title = "usage"


class NotFound(BridgeError):
    """The selected jobs, transitions or messages do not exist."""

    exit_code = 66
    title = "not found"


class Fenced(BridgeError):
    """Another bridge of the same name owns the checkpoint now."""

    exit_code = 76
    title = "fenced"


class NotPermitted(BridgeError):
    """MongoDB or Kafka rejects the credentials, or a permission is missing."""

    exit_code = 77
    title = "not permitted"


class ReadRefused(NotPermitted):
    """Kafka accepts the credentials, but this user may not read the topic."""


class Misconfigured(BridgeError):
    """An operator has to change a setting, the topic or the deployment."""

    exit_code = 78
    title = "configuration"


class AddressInUse(Misconfigured):
    """Another process, perhaps a bridge with the same settings, serves HTTP on this address."""


class ResumePointLost(BridgeError):
    """The oplog no longer contains the events after the checkpoint."""

    exit_code = 80
    #: The name of the exit code, which is an interface.
    title = "history lost"


class Unreadable(ResumePointLost):
    """MongoDB can never deliver this event; recovery from the jobs' history can replace it."""

    exit_code = 82
    title = "poison event"


class PoisonEvent(BridgeError):
    """An event can neither be sent nor dead-lettered."""

    exit_code = 82
    title = "poison event"


class CheckpointUnusable(BridgeError):
    """The stored checkpoint is corrupt, from a newer version, or belongs to another cluster."""

    exit_code = 83
    title = "checkpoint unusable"
