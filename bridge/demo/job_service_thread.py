"""The simulated job service beside the main thread."""

import asyncio
import threading
from typing import Self

from bridge.demo.job_service.job_service import play as serve_jobs
from bridge.demo.job_service.workload import Commit, Indeterminate, Workload
from bridge.demo.scoreboard import Scoreboard


class JobServiceThread:
    """Runs the simulated job service on its own thread, from entering to leaving."""

    def __init__(
        self, uri: str, database: str, workload: Workload, *, scoreboard: Scoreboard
    ) -> None:
        self._uri = uri
        self._database = database
        self._workload = workload
        self._scoreboard = scoreboard
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="job-service")
        self.failure: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether all jobs have ended."""
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        try:
            service = serve_jobs(
                self._uri,
                self._database,
                self._workload,
                stop=self._stop,
                on_commit=self._commit,
            )
            self._loop.run_until_complete(service)
        except Exception as error:  # reported by the main thread
            self.failure = error

    def _commit(self, report: Commit | Indeterminate) -> None:
        if isinstance(report, Commit):
            self._scoreboard.commit(report.job_id, report.sequence, report.trans_id)
