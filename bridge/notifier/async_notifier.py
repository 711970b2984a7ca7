"""The notifier for asyncio."""

import asyncio
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self

from bridge.model.transition import Transition
from bridge.notifier.arguments import transition_of
from bridge.notifier.base import NotifierBase
from bridge.notifier.pending import PendingMessage


class AsyncNotifier(NotifierBase):
    """Sends a message for each state change, without blocking the event loop.

    Arguments, modes and errors are those of :class:`bridge.notifier.notifier.Notifier`. Waiting for
    Kafka uses no thread for each message. If a waiting task is cancelled, its message may still be
    sent; if it fails, it counts as ``lost``.

    >>> async with AsyncNotifier("localhost:9092", "job-transitions") as notifier:
    ...     await notifier.notify("job-1", "complete", datetime.now(timezone.utc))
    """

    async def start(self) -> None:
        """Start to accept messages; if synchronous, connect to Kafka first."""
        try:
            await asyncio.to_thread(self._open)
        except asyncio.CancelledError:
            self._worker.stop()
            raise

    async def close(self) -> None:
        """Wait for messages in flight, for ``timeout_seconds`` and a moment at most."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def notify(self, job_id: str, state: str, time: datetime, trans_id: str = "") -> None:
        """Send a state change, as :meth:`bridge.notifier.notifier.Notifier.notify` does."""
        await self.send(transition_of(job_id, state, time, trans_id))

    async def send(self, transition: Transition) -> None:
        """Send a transition that was read from a job. Raises as :meth:`notify` does."""
        pending = self._submit(transition)
        if not self._synchronous:
            self._worker.submit(pending)
            return
        answered = self._answered_event(pending)
        self._worker.submit(pending)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(answered.wait(), self._timeout_seconds)
        except asyncio.CancelledError:
            self._worker.abandon(pending)
            raise
        self._raise_failure(pending)

    def _answered_event(self, pending: PendingMessage) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()

        def on_answer() -> None:
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(answered.set)

        pending.on_answer = on_answer
        return answered
