"""A server that is not started again after it was left."""

from __future__ import annotations

from bridge.demo.servers.process import Server


class ThrowAwayServer(Server):
    """Ends at once when it is left: nothing is read from its disk afterwards.

    ``stop`` is still orderly, and writes the data for the next start, for a second or more.
    """

    def leave(self) -> None:
        """Kill all processes."""
        for child in self._children:
            child.kill()
