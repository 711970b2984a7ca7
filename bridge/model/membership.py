"""The bridges that share a checkpoint: the owner and its standbys."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """A bridge that owns a checkpoint, or stands by.

    Attributes:
        name: The bridge in words, such as ``the bridge with process 12 on host-a``.
        since: When it became the owner, or a standby, in Unix seconds; None if that is not known.
    """

    name: str
    since: float | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Membership:
    """The members as they were last read.

    Attributes:
        owner: The owner; None when there is no owner, or while the ownership moves.
        standbys: All other members.
        is_us: Whether this process is the owner.
    """

    owner: Member | None = None
    standbys: tuple[Member, ...] = ()
    is_us: bool = False
