"""The effect of a position that is set by hand, in numbers from the jobs' history."""

import time
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bridge.errors import BridgeError
from bridge.model.gap import unix_time_of
from bridge.model.position import ClusterTime, Position
from bridge.model.transition import Transition
from bridge.settings import Settings

if TYPE_CHECKING:  # imported late: MongoDB's driver would slow down the help
    from bridge.mongo.job_history_reader import JobHistoryReader

T = TypeVar("T")

#: More jobs than this are only counted, because reading their transitions would take too long.
_MAX_JOBS = 20_000
_MAX_SECONDS = 5.0

_REPLAY = "'job-bridge replay' can send them from the jobs"


class Span(NamedTuple):
    """The transitions after a cluster time, up to another (None for the present)."""

    after: ClusterTime
    until: ClusterTime | None = None


class Effect(NamedTuple):
    """The effect of a new position.

    Attributes:
        skipped: The transitions that will not be sent; None if there are none.
        read_again: The transitions that the bridge reads a second time; None if there are none.
    """

    skipped: Span | None = None
    read_again: Span | None = None


class Description(NamedTuple):
    """An effect in words, and whether transitions will not be sent."""

    text: str
    loses: bool = False


#: Nothing is known of an effect.
UNKNOWN = Description("")


def effect_of(old: Position, new: Position | None) -> Effect:
    """Return the effect of a move from ``old`` to ``new``; None stands for the present."""
    before = old.cluster_time
    if new is None:
        return Effect(skipped=Span(before))
    if new > old:
        return Effect(skipped=Span(before, new.cluster_time))
    if new < old:
        return Effect(read_again=Span(new.cluster_time, before))
    return Effect()


def describe(effect: Effect, history: "JobHistoryReader", settings: Settings) -> Description:
    """Describe the effect, with numbers where the history can be asked in time."""
    if effect.skipped:
        return not_sent(_amount(effect.skipped, history))
    if effect.read_again:
        amount = _amount(effect.read_again, history)
        return Description(f"{amount} will be read again, and {_repeated(settings)}")
    return Description("the position does not move: nothing is skipped or read again")


def not_sent(transitions: str) -> Description:
    """Describe the loss of ``transitions``, which are named in words."""
    return Description(f"{transitions} will not be sent. {_REPLAY}", loses=True)


def describe_all(history: "JobHistoryReader", settings: Settings) -> Description:
    """Describe the effect of ``start.from = history``."""
    jobs = _asked(lambda: history.count())
    amount = "all jobs" if jobs is None else _plural(jobs, "job")
    return Description(
        f"all transitions of {amount} will be read from the history (start.from = history), "
        f"and {_repeated(settings)}"
    )


def _repeated(settings: Settings) -> str:
    read_back = settings.kafka.read_back
    action = "sent again" if read_back == "off" else "left out"
    return f"those that the topic already has are {action} (kafka.read_back = {read_back})"


def _amount(span: Span, history: "JobHistoryReader") -> str:
    """Return the number of transitions in ``span``, by their own times, in words."""
    where = "between the two positions" if span.until else "after the old position"
    jobs = _asked(lambda: history.count(span.after.seconds))
    if jobs is None:
        return f"the transitions {where}, which cannot be counted now,"
    if jobs <= _MAX_JOBS and (counted := _asked(lambda: _count(span, history))):
        transitions, of_jobs = counted
        return f"about {_plural(transitions, 'transition')} of {_plural(of_jobs, 'job')} {where}"
    return f"the transitions of about {_plural(jobs, 'job')} {where}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _asked(question: Callable[[], T]) -> T | None:
    """Return the answer; None if the history cannot be read."""
    try:
        return question()
    except BridgeError:
        return None


def _count(span: Span, history: "JobHistoryReader") -> tuple[int, int] | None:
    """Count the transitions of a span and their jobs; None if that takes too long."""
    # Both seconds count whole: transitions have times of other clocks than positions.
    start, end = span.after.seconds, span.until.seconds + 1 if span.until else inf
    give_up = time.monotonic() + _MAX_SECONDS
    transitions, jobs = 0, set()
    for job in history.jobs(start):
        if time.monotonic() > give_up:
            return None
        times = [unix_time_of(item) for item in job.items if isinstance(item, Transition)]
        inside = sum(start <= moment < end for moment in times)
        transitions += inside
        if inside:
            jobs.add(job.job_id)
    return transitions, len(jobs)
