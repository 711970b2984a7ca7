"""The sender of notifications that the simulated service runs by itself, without a bridge."""

from __future__ import annotations

from typing import Any

from pymongo.collection import Collection

from bridge.demo.job_service.workload import sent


class OwnSender:
    """Sends transitions as the CDM Task Service does; ``messages`` are their identities.

    It is called after each state update, notes the transition as sent, and on request searches
    for those that are not noted. Both look into ``transition_times`` only.
    """

    def __init__(self, jobs: Collection[dict[str, Any]]) -> None:
        self._jobs = jobs
        self.messages: list[str] = []

    def send(self, job_id: str, trans_id: str) -> None:
        """Send a transition that was just written."""
        self.messages.append(trans_id)
        self._jobs.update_one(*sent(job_id, trans_id))

    def send_unsent(self) -> None:
        """Send every transition that is not noted as sent, as its administrators can ask for."""
        for job in self._jobs.find({"transition_times.notif_sent": False}):
            for element in job["transition_times"]:
                if not element["notif_sent"]:
                    self.send(job["id"], element["trans_id"])
