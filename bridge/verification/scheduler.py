"""Verifies while the bridge runs: now and then ``job-bridge verify`` as a process of its own, at the lowest priority.

In a process of its own it takes neither the interpreter from the loop nor memory from the bridge,
and the system runs it when nobody else wants the processor.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from bridge.observability.status import Status, Verified
from bridge.settings import Settings, parse_duration
from bridge.settings.load import setting_names
from bridge.settings.names import PREFIX, variable

logger = logging.getLogger("bridge")

_POLL_SECONDS = 0.5
#: The first verification looks at what a start had to catch up with.
_FIRST_SECONDS = 60.0


class VerificationScheduler:
    """A background task, from entering to leaving; does nothing where ``verify.every`` is never.

    The first begins where the bridge began, each other one where the last one ended that missed nothing: what is missing stays so
    until it is sent. None looks further than the position up to which the loop has delivered, less ``verify.settle_seconds``.
    The status is told what was found.
    """

    def __init__(self, settings: Settings, status: Status) -> None:
        self._settings, self._status = settings, status
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifying", daemon=True)

    def __enter__(self) -> Self:
        if self._settings.verify.every != "never":
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        every = parse_duration(self._settings.verify.every).total_seconds()
        begin, pause = None, min(every, _FIRST_SECONDS)
        while not self._stop.wait(pause):
            if begin is None and (began := self._status.began):
                begin, pause = float(began.cluster_time.seconds), every
            if (
                begin is not None
                and (end := self._delivered()) > begin
                and self._verified(begin, end)
            ):
                begin = end

    def _delivered(self) -> float:
        """Up to when all should be in Kafka, Unix seconds; where there is no stream, what each sweep finds."""
        now, settle, position = (
            time.time(),
            self._settings.verify.settle_seconds,
            self._status.position(),
        )
        if not self._status.streams:
            return (
                now
                - settle
                - self._settings.sweep.older_than_seconds
                - self._settings.sweep.every_seconds
            )
        return min(now, position.cluster_time.seconds if position else 0.0) - settle

    def _verified(self, begin: float, end: float) -> bool:
        """One verification; False when it could not be made or missed something, so that the next one covers its time too."""
        try:
            return self._verify(begin, end)
        except (OSError, ValueError, KeyError) as error:  # no process to be had, or not its words
            logger.warning(
                "the verification could not be made, the next one covers its time too: %s",
                " ".join(str(error).split())[-400:],
            )
            return False

    def _verify(self, begin: float, end: float) -> bool:
        """False when it was stopped or missed something; ``ValueError`` with what it said when that is no verdict."""
        times = ["--from", _iso(begin), "--to", _iso(end)]
        command = [sys.executable, "-m", "bridge", "verify", *times, "--json"]
        # In a session of its own: a Ctrl-C is for us, and it is us who end it.
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(self._settings),
            text=True,
            start_new_session=True,
        )
        _lower(child.pid)
        while True:
            try:
                output, errors = child.communicate(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if self._stop.is_set():
                    child.terminate()
        if self._stop.is_set():
            return False
        if not output.startswith("{"):
            raise ValueError(errors)
        found = json.loads(output)
        self._tell(found, " ".join(times))
        return not found["missing"]

    def _tell(self, found: Mapping[str, Any], times: str) -> None:
        self._status.verified = Verified(found["until"], found["missing"], found["repeated"])
        if found["missing"]:
            logger.error(
                "Kafka lacks %d of %d transitions, the first: %s. The jobs still hold them: 'job-bridge verify %s --repair' sends them",
                found["missing"],
                found["transitions"],
                "; ".join(found["examples"]["missing"][:3]),
                times,
            )


def _lower(pid: int) -> None:
    """Let a process of ours run only when nobody else wants the processor, or, where the system knows no such thing, hardly."""
    with suppress(
        OSError
    ):  # it has ended already, or the system does not let us: it works all the same
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, pid, 19)


def _environment(settings: Settings) -> dict[str, str]:
    """Our environment, with every setting that was given turned into a variable, wherever it came from."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {}
    for name in setting_names():
        section, _, key = name.partition(".")
        key = "from_" if key == "from" else key
        chosen = getattr(settings, section)
        if key in chosen.model_fields_set:
            value = getattr(chosen, key)
            given[variable(name)] = (
                value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            )
    return clean | given


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
