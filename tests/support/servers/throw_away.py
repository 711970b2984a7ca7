"""A server that nobody starts again after it is left."""

from __future__ import annotations

from types import TracebackType

from bridge.demo.servers.process import Server


class ThrowAwayServer(Server):
    """Ends at once when it is left: nothing is read from its disk afterwards.

    ``stop`` is still orderly, and writes the data for the next start, for a second or more.
    """

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Kill all processes."""
        for child in self._children:
            child.kill()
