"""The findings of ``job-bridge check``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.errors import BridgeError


@dataclass(frozen=True, slots=True)
class Finding:
    """A precondition of ``run``.

    Attributes:
        level: ok, warning or failure.
        subject: The part that was checked.
        text: The result.
        todo: Advice; empty where there is nothing to do.
        exit_code: The code with which ``run`` would end; 0 where it would not.
    """

    level: str
    subject: str
    text: str
    todo: str = ""
    exit_code: int = 0


def failure(subject: str, error: BridgeError) -> Finding:
    """Return the finding for an error with which ``run`` would end, or for which it would wait."""
    text = ". ".join(filter(None, (error.what, error.data)))
    return Finding("failure", subject, text, error.todo, error.exit_code)


def guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of ``check``, and its error as the last finding.

    An error of the checkpoint store has that subject, also where another part was to be checked.
    """
    try:
        yield from check()
    except BridgeError as error:
        yield failure("checkpoint" if error.part == "checkpoint" else subject, error)
