"""Runs ``verify`` from time to time while the bridge runs, as a process at the lowest priority.

A separate process takes neither the interpreter from the loop nor memory from the bridge, and the
system runs it when no other process needs the processor.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from bridge.clock import exact_iso
from bridge.errors import one_line
from bridge.hints import Hint
from bridge.logs.recent_warnings import LogText
from bridge.observability.snapshot import Verified
from bridge.observability.status import LatestVerification, Status
from bridge.settings import Settings, parse_duration
from bridge.settings.load import setting_names
from bridge.settings.names import PREFIX, variable

logger = logging.getLogger("bridge")

_POLL_SECONDS = 0.5
#: The first verification covers the transitions that the start caught up with.
_FIRST_SECONDS = 60.0
_LAST_CHARACTERS = 400
_LOGGED_EXAMPLES = 3


class VerificationScheduler:
    """A context manager around a background thread; without effect if ``verify.every`` is never.

    The first verification starts at the bridge's starting position. Each later one starts where
    the last complete one ended, so a missing transition is reported until it is repaired. Wrong
    and unexpected messages are reported once, because nothing removes them. Each ends at the
    delivered position, minus ``verify.settle_seconds``. The results go to the status.
    """

    def __init__(self, settings: Settings, status: Status, latest: LatestVerification) -> None:
        self._settings = settings
        self._status = status
        self._latest = latest
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verification", daemon=True)

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
        since, pause = None, min(every, _FIRST_SECONDS)
        while not self._stop.wait(pause):
            if since is None and (start := self._status.snapshot().start):
                since, pause = float(start.cluster_time.seconds), every
            if (
                since is not None
                and (until := self._delivered_until()) > since
                and self._verified(since, until)
            ):
                since = until

    def _delivered_until(self) -> float:
        """Return the time up to which Kafka should have all transitions, in Unix seconds.

        Without a stream, the time up to which sweeps must have sent them.
        """
        now, settle = time.time(), self._settings.verify.settle_seconds
        snapshot = self._status.snapshot()
        if not snapshot.streams:
            sweep = self._settings.sweep
            return now - settle - sweep.older_than_seconds - sweep.every_seconds
        position = snapshot.position
        return min(now, position.cluster_time.seconds if position else 0.0) - settle

    def _verified(self, since: float, until: float) -> bool:
        """Verify once; return False if it failed or a transition is missing.

        The next verification then covers the same time span again.
        """
        self._latest.begin(time.monotonic())
        try:
            return self._verify(since, until)
        except (OSError, ValueError, KeyError) as error:  # No process, or not its JSON.
            logger.warning(
                "the verification failed; the next verification covers its time span again: %s",
                one_line(str(error))[-_LAST_CHARACTERS:],
            )
            return False
        finally:
            self._latest.end()

    def _verify(self, since: float, until: float) -> bool:
        """Run ``verify``; return False if it was stopped or a transition is missing.

        Raises ``ValueError`` with its error output if it gave no result.
        """
        span = ["--from", exact_iso(since), "--to", exact_iso(until)]
        command = [sys.executable, "-m", "bridge", "verify", *span, "--json"]
        # In its own session, so that a Ctrl-C reaches only this process, which then stops it.
        child = subprocess.Popen(  # noqa: S603 - this program, without a shell
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
            raise ValueError(_reason(errors))
        findings = json.loads(output)
        self._report(findings, " ".join(span))
        return not findings["missing"]

    def _report(self, findings: Mapping[str, Any], span: str) -> None:
        kinds = ("missing", "repeated", "strange", "wrong")
        until = datetime.fromisoformat(findings["until"]).timestamp()
        result = Verified(until, *(findings[kind] for kind in kinds))
        self._latest.complete(result, time.monotonic())
        examples = findings["examples"]
        if findings["missing"]:
            hint = Hint.REPLAY_JOB if findings["compacted"] else f"{Hint.VERIFY_REPAIR} {span}"
            _log(
                f"The topic is missing {findings['missing']} of {findings['transitions']} "
                "transitions",
                examples["missing"],
                f"The jobs still contain them; '{hint}' sends them",
            )
        if findings["strange"] or findings["wrong"]:
            _log(
                f"The topic has {findings['wrong']} wrong and {findings['strange']} unexpected "
                "messages",
                [*examples["wrong"], *examples["strange"]],
                "Consumers may have used them, and nothing removes them; "
                f"'{Hint.VERIFY} {span}' names them",
            )


def _log(text: str, examples: Sequence[str], todo: str) -> None:
    first = f", the first: {'; '.join(examples[:_LOGGED_EXAMPLES])}"
    logger.error(LogText(text, first, todo=todo))


def _lower(pid: int) -> None:
    """Give a process the lowest priority that the system has."""
    with suppress(OSError):  # It has ended, or the system refuses; it works without too.
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, pid, 19)


def _environment(settings: Settings) -> dict[str, str]:
    """Return our environment, with every given setting as a variable, whatever its source."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {}
    for name in setting_names():
        section, _, key = name.partition(".")
        key = "from_" if key == "from" else key
        values = getattr(settings, section)
        if key in values.model_fields_set:
            value = getattr(values, key)
            given[variable(name)] = (
                value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            )
    return clean | given


def _reason(errors: str) -> str:
    """Return the last error of the process's standard error as text."""
    lines = errors.strip().splitlines()
    try:
        failure = json.loads(lines[-1])
        return ". ".join(filter(None, (failure["what"], failure["meaning"], failure["do"])))
    except (IndexError, KeyError, TypeError, ValueError):
        return errors
