"""Three members that share one checkpoint, and faults of them at random."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

from tests.support.bridge_process import BridgeProcess
from tests.support.fault_scenario import FaultScenario

MEMBERS = 3
#: A stop in order, SIGKILL, a temporary failure, and a lost ownership.
EXPECTED_EXITS = frozenset({0, -signal.SIGKILL, 75, 76})
PAUSE_SECONDS = 0.2
#: Generous: only a group without an owner reaches it.
OWNER_SECONDS = 120.0
#: Pauses between two faults, and how long a member is frozen: below its session and beyond it.
BETWEEN_SECONDS, FROZEN_SECONDS = (0.5, 5.0), (1.0, 9.0)


class MemberChaos:
    """Members of one group, restarted as a supervisor would."""

    def __init__(self, scenario: FaultScenario, *, frozen: bool) -> None:
        self.members = [scenario.bridge() for _ in range(MEMBERS)]
        self.exits: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self._frozen = frozen
        for member in self.members:
            member.start()
        self.await_owner()

    def run(self, seconds: float) -> None:
        """Cause faults for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.wait(random.uniform(*BETWEEN_SECONDS))
            self.fault(random.choice(self.members))

    def fault(self, member: BridgeProcess) -> None:
        """Kill, stop or freeze a member; twice of three times it is the owner."""
        member = random.choice((self.owner() or member, self.owner() or member, member))
        kind = random.choice(("kill", "kill", "stop", *(["freeze"] if self._frozen else [])))
        if not member.running:
            return
        self.faults[kind] += 1
        if kind == "freeze":
            member.pause()
            self.wait(random.uniform(*FROZEN_SECONDS), frozen=member)
            member.resume()
        else:
            member.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGTERM)

    def owner(self) -> BridgeProcess | None:
        """The member that is ready; None while no member is."""
        return next((member for member in self.members if member.running and member.ready()), None)

    def wait(self, seconds: float, frozen: BridgeProcess | None = None) -> None:
        """Let time pass, while a supervisor restarts what ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tend(frozen)
            time.sleep(PAUSE_SECONDS)

    def tend(self, frozen: BridgeProcess | None = None) -> None:
        for member in self.members:
            if member is not frozen and not member.running:
                self._note_exit(member, member.wait())
                member.start()

    def await_owner(self, seconds: float = OWNER_SECONDS) -> BridgeProcess:
        """Wait for an owner, while a supervisor restarts what ends."""
        end = time.monotonic() + seconds
        while (owner := self.owner()) is None:
            assert time.monotonic() < end, f"no member is ready after {seconds:g} s"
            self.wait(PAUSE_SECONDS)
        return owner

    def leave_one(self) -> BridgeProcess:
        """Wait for an owner, stop the others, and return it."""
        owner = self.await_owner()
        for member in self.members:
            if member is not owner:
                self._note_exit(member, member.stop())
        print(f"faults {dict(self.faults)}, exits {dict(self.exits)}")
        return owner

    def _note_exit(self, member: BridgeProcess, code: int) -> None:
        self.exits[code] += 1
        # Before its first line it does not handle the signal yet.
        early = code == -signal.SIGTERM and not member.lines()
        assert early or code in EXPECTED_EXITS, f"a member ended with {code}:\n{member.log_tail()}"
