"""The demo as a new user runs it: output, summary, and a clean end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Deadlines for a busy machine; usually it is a second or two, and five.
END_SECONDS = 20.0
FIRST_MESSAGE_SECONDS = 60.0
SUMMARY = re.compile(
    r"summary: (\d+) jobs, (\d+) transitions committed, (\d+) messages, "
    r"(\d+) missing, (\d+) repeated, (\d+) out of order"
)


class Demo:
    """``job-bridge demo`` in a session and a temporary folder of its own."""

    def __init__(self, folder: Path, *arguments: str, driver: str = "auto") -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "demo", *arguments],
            text=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {
                "TMPDIR": str(folder),
                "HOME": str(folder),
                "PYTHONUNBUFFERED": "1",
                "JOB_BRIDGE_KAFKA_DRIVER": driver,
            },
        )

    def until(self, words: str) -> str:
        """Read up to the line with ``words``."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}")

    def interrupt(self) -> None:
        """Send the signal of Ctrl-C in a terminal."""
        os.killpg(self._process.pid, signal.SIGINT)

    def rest(self) -> tuple[int, str]:
        output, _ = self._process.communicate(timeout=120)
        return self._process.returncode, output

    def left_behind(self) -> list[str]:
        """Files in the folder, and processes with the folder in their arguments."""
        files = [str(path) for path in self._folder.rglob("*") if path.is_file()]
        commands = [path.read_bytes().replace(b"\0", b" ").decode() for path in _command_lines()]
        return files + [command for command in commands if str(self._folder) in command]

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _command_lines() -> Iterator[Path]:
    return (path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())


def shows_job_ids(page: str) -> bool:
    """Whether anonymous readers of the status page may see details."""
    with urllib.request.urlopen(f"{page}status.json", timeout=10) as answer:
        return bool(json.load(answer)["details"])


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.end()


@pytest.mark.parametrize("driver", ["kafka-python", "librdkafka"])
def test_it_ends_by_itself_with_a_summary(demos: list[Demo], tmp_path: Path, driver: str) -> None:
    began = time.monotonic()
    demo = Demo(tmp_path, "--jobs", "3", "--rate", "50", driver=driver)
    demos.append(demo)
    page = re.search(r"status page: (http://\S+/);", demo.until("/metrics"))
    assert page is not None
    assert shows_job_ids(page[1])
    demo.until("created")
    assert time.monotonic() - began < FIRST_MESSAGE_SECONDS
    code, output = demo.rest()

    summary = SUMMARY.search(output)
    assert code == 0 and summary is not None, output
    jobs, committed, messages, missing, repeated, out_of_order = map(int, summary.groups())
    assert (jobs, missing, repeated, out_of_order) == (3, 0, 0, 0)
    assert messages == committed >= 3 * 3
    assert "\x1b[" not in output
    assert demo.left_behind() == []


def test_crashes_lose_nothing_and_are_counted(demos: list[Demo], tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--jobs", "10", "--rate", "12", "--crash", "--seed", "1")
    demos.append(demo)

    code, output = demo.rest()

    summary = SUMMARY.search(output)
    kills = re.search(r"the bridge was started again (\d+) times", output)
    assert code == 0 and summary is not None and kills is not None, output
    assert int(kills[1]) >= 1
    assert (summary[4], summary[5], summary[6]) == ("0", "0", "0")
    assert demo.left_behind() == []


def test_a_killed_bridge_is_started_again(demos: list[Demo], tmp_path: Path) -> None:
    """Its user kills the process that the demo names, then stops the next one."""
    demo = Demo(tmp_path)
    demos.append(demo)
    for ready, end, said in (
        ("the bridge is ready", signal.SIGKILL, "was killed by signal 9"),
        ("-- the bridge is ready again", signal.SIGTERM, "was stopped"),
    ):
        process = re.search(r"process (\d+)", demo.until(ready))
        assert process is not None
        os.kill(int(process[1]), end)
        demo.until(f"-- the bridge {said}; starting it again")
    demo.until("-- the bridge is ready again")
    demo.until("partition")

    demo.interrupt()
    code, output = demo.rest()

    summary = SUMMARY.search(output)
    assert code == 0 and summary is not None and summary[6] == "0", output
    assert "the bridge was started again 2 times" in output
    assert demo.left_behind() == []


def test_a_bridge_that_fails_ends_the_demo(demos: list[Demo], tmp_path: Path) -> None:
    """Its log comes first; the last line says what is wrong and what to do."""
    demo = Demo(tmp_path, driver="unknown")
    demos.append(demo)

    code, output = demo.rest()

    *log, last = output.splitlines()
    assert code == 75 and last.startswith("job-bridge: temporary failure: The demo cannot run: ")
    assert "Its servers and their data were temporary" in last and len(last) < 300
    assert any("unknown" in line for line in log) and "Traceback" not in output


def test_an_interrupt_ends_everything_soon(demos: list[Demo], tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demos.append(demo)
    demo.until("download_submitted")

    began = time.monotonic()
    demo.interrupt()
    code, output = demo.rest()

    assert time.monotonic() - began < END_SECONDS
    assert code == 0 and SUMMARY.search(output), output
    assert demo.left_behind() == []
