"""The simulated job service at work beside a test, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from bridge.demo.servers.process import poll
from tests.support.simulator import Commit, Indeterminate, Workload, play

#: Generous: only a service that hangs reaches them.
STOP_SECONDS = 120.0
PROGRESS_SECONDS = 180.0


class Load:
    """The job service, from entering to leaving; ``commits`` are those that a majority holds.

    Leaving raises the error that ended the service early.
    """

    def __init__(self, uri: str, database: str, workload: Workload) -> None:
        self._target = (uri, database)
        self._workload = workload
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-service", daemon=True)
        self.commits: list[Commit] = []
        #: Writes without an answer; they may have happened.
        self.doubts: list[Indeterminate] = []

    def __enter__(self) -> Load:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the service and wait for its end."""
        if self._thread.is_alive() and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self.join()

    def join(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until the jobs have ended."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the job service did not stop"
        if self._error is not None:
            raise self._error

    def await_commits(self, count: int, seconds: float = PROGRESS_SECONDS) -> None:
        """Wait for ``count`` commits more than there are now."""
        goal = len(self.commits) + count

        def reached() -> bool:
            return len(self.commits) >= goal or not self._thread.is_alive()

        poll(reached, f"{count} more commits", seconds)
        assert self._error is None, f"the job service failed: {self._error!r}"

    def _run(self) -> None:
        try:
            asyncio.run(self._play())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error

    async def _play(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        uri, database = self._target
        await play(uri, database, self._workload, stop=self._stop, on_commit=self._note)

    def _note(self, outcome: Commit | Indeterminate) -> None:
        if isinstance(outcome, Commit):
            self.commits.append(outcome)
        else:
            self.doubts.append(outcome)
