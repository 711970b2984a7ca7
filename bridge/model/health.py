"""How long each kind of silence may last before a bridge is not ready; no I/O and no clock."""

from typing import NamedTuple

from bridge.model.position import ClusterTime

#: MongoDB or Kafka counts as unreachable after this time without an answer. A single question that
#: is not answered is no outage.
ANSWER_SECONDS = 8.0
#: A majority that does not advance for this long, although the primary did, is an outage.
MAJORITY_SECONDS = 15.0
#: A loop that has not turned for this long does not run.
LOOP_SECONDS = 10.0
#: A log that accepts nothing for this long is blocked.
LOG_SECONDS = 1.0


class Answers(NamedTuple):
    """How MongoDB or Kafka has answered; immutable, so that any thread may read it.

    Attributes:
        server: The name of the server, for the reason.
        last: When it last answered, in monotonic seconds; at first, when it was first asked.
        failure: Why the last question failed; empty after an answer.
        lasting: Whether a change by an operator is needed, so that no waiting helps.
        known: Whether it has ever answered.
    """

    server: str
    last: float
    failure: str = ""
    lasting: bool = False
    known: bool = False

    def answered(self, now: float) -> "Answers":
        """Return the answers after an answer at ``now``."""
        return Answers(self.server, now, known=True)

    def failed(self, failure: str, *, lasting: bool) -> "Answers":
        """Return the answers after a question that failed."""
        return self._replace(failure=failure, lasting=lasting)

    def reason(self, now: float) -> str:
        """Return why the bridge is not ready at ``now``; empty if it may be."""
        silence = now - self.last
        if self.failure and (self.lasting or silence >= ANSWER_SECONDS):
            return self.failure
        if silence >= ANSWER_SECONDS:
            return f"{self.server} has not answered for {silence:.0f} s"
        return ""

    def up(self, now: float) -> bool | None:
        """Return whether the server works at ``now``; None while that is not known."""
        if self.reason(now):
            return False
        return True if self.known else None


class Majority(NamedTuple):
    """The progress of the majority's writes; immutable.

    Attributes:
        time: The majority's newest write; None if the server does not report it.
        waits_since: Since when it has been older than the primary's newest write without
            advancing, in monotonic seconds; None while it is the same.
    """

    time: ClusterTime | None = None
    waits_since: float | None = None

    def reported(
        self, now: float, newest: ClusterTime | None, majority: ClusterTime | None
    ) -> "Majority":
        """Return the progress after a report of the primary at ``now``."""
        if newest is None or majority is None or newest <= majority:
            return Majority(majority)
        if majority == self.time and self.waits_since is not None:
            return self
        return Majority(majority, now)

    def reason(self, now: float) -> str:
        """Return why the bridge is not ready at ``now``; empty if it may be."""
        if self.waits_since is None or (waited := now - self.waits_since) < MAJORITY_SECONDS:
            return ""
        return (
            f"MongoDB's majority has not confirmed a write of the primary for {waited:.0f} s: "
            "change streams deliver nothing; check that a majority of the data-bearing members is "
            "up and replicates"
        )


def silent_loop(silence: float) -> str:
    """Return why a bridge whose loop was silent for this long is not ready; empty if it may be."""
    if silence < LOOP_SECONDS:
        return ""
    return f"the main loop has not run for {silence:.0f} s"


def blocked_log(seconds: float) -> str:
    """Return why a bridge whose log is stuck for this long is not ready; empty if it may be."""
    if seconds < LOG_SECONDS:
        return ""
    return f"the log has accepted nothing for {seconds:.0f} s: its reader does not read"
