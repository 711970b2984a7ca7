"""Runs commands of ``job-bridge`` as processes, with their settings in the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.settings.load import variable

#: Part of every password in these tests; the output of a command must not contain it.
SECRET = "canary-fEd3"
#: Generous: only a command that hangs reaches it.
COMMAND_SECONDS = 120.0
ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "bridge")

#: Settings by ``section.name``, or by the name of an environment variable.
GivenSettings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EndedCommand:
    """A command that has ended: its exit code and its output."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that explains why the command failed; fails unless there is exactly one."""
        found = errors_in(self.err)
        assert len(found) == 1, f"{len(found)} error lines:\n{self.err}"
        return found[0]


def by_name(changed: GivenSettings) -> dict[str, str]:
    """Settings given as keyword arguments: ``kafka__topic`` is ``kafka.topic``."""
    return {name.replace("__", "."): value for name, value in changed.items()}


def environment(settings: GivenSettings) -> dict[str, str]:
    """The environment of the tests, which contains no setting, plus ``settings``."""
    given = {variable(name) if "." in name else name: value for name, value in settings.items()}
    return {**os.environ, **given}


def run_command(
    *arguments: str, settings: GivenSettings, answer: str = "", seconds: float = COMMAND_SECONDS
) -> EndedCommand:
    """Run ``job-bridge`` with ``arguments`` to its end, with ``answer`` on its standard input."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(settings),
        input=answer,
        text=True,
        capture_output=True,
        timeout=seconds,
        cwd=ROOT,
        check=False,
    )
    assert_clean(done.stdout + done.stderr)
    return EndedCommand(done.returncode, done.stdout, done.stderr)


def assert_clean(text: str) -> None:
    """Fail if the output of a command contains a traceback or a secret."""
    assert "Traceback" not in text, text
    assert SECRET not in text, text


def errors_in(text: str) -> list[str]:
    """The error lines of the log, and every line that is not part of the log."""
    lines = [
        json.loads(line) if line.startswith("{") else {"plain": line} for line in text.splitlines()
    ]
    logged = [str(line["message"]) for line in lines if line.get("level") in ("ERROR", "CRITICAL")]
    plain = [str(line["plain"]) for line in lines if str(line.get("plain", "")).strip()]
    return logged + plain
