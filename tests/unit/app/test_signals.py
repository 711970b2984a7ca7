"""Signals, sent to a child process: the first asks for a stop, the second kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.servers.frozen import await_frozen

PAUSE, RESUME = signal.SIGUSR1, signal.SIGUSR2
CHILD = """
import signal, sys, threading
from bridge.app.signals import on_stop

asked = threading.Event()
# The tests themselves may run under nohup.
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "nohup" else signal.SIG_DFL)

def callback():
    print("asked on", threading.current_thread().name, flush=True)
    asked.set()

class Pause:
    def start(self):
        print("paused", flush=True)

    def end(self):
        print("resumed", flush=True)

with on_stop(callback, Pause() if sys.argv[1] == "pause" else None):
    print("ready", flush=True)
    asked.wait()
    if sys.argv[1] == "hang":
        print("hanging", flush=True)
        threading.Event().wait()
terminates = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
print("restored", terminates, signal.getsignal(signal.SIGINT) == before, flush=True)
"""
CHILD = CHILD.replace("asked = ", "before = signal.getsignal(signal.SIGINT)\nasked = ", 1)


@contextmanager
def child(mode: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CHILD, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_asks_on_another_thread(number: signal.Signals) -> None:
    with child("end") as process:
        process.send_signal(number)

        assert line(process) == "asked on signals\n"
        assert line(process) == "restored True True\n"
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGINT, signal.SIGHUP),
        (signal.SIGHUP, signal.SIGTERM),
    ],
)
def test_the_second_signal_kills(first: signal.Signals, second: signal.Signals) -> None:
    with child("hang") as process:
        process.send_signal(first)
        assert line(process) == "asked on signals\n"
        assert line(process) == "hanging\n"

        process.send_signal(second)

        assert process.wait(10) == -second


def test_an_ignored_hangup_stays_ignored() -> None:
    with child("nohup") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)

        assert line(process) == "asked on signals\n"
        assert line(process) == "restored True True\n"
        assert process.wait(10) == 0


def test_two_signals_pause_and_resume() -> None:
    """As often as they come; the stop after them is still the first."""
    with child("pause") as process:
        for _ in range(2):
            process.send_signal(signal.SIGUSR1)
            assert line(process) == "paused\n"
            process.send_signal(signal.SIGUSR2)
            assert line(process) == "resumed\n"
        process.send_signal(signal.SIGTERM)

        assert line(process) == "asked on signals\n"
        assert line(process) == "restored True True\n"
        assert process.wait(10) == 0


def send_together(process: subprocess.Popen[str], *numbers: signal.Signals) -> None:
    """Let all of them be pending when the process runs again."""
    process.send_signal(signal.SIGSTOP)
    await_frozen(process.pid)
    for number in numbers:
        process.send_signal(number)
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("numbers", [(PAUSE, RESUME), (RESUME, PAUSE)], ids=["pause", "resume"])
def test_signals_that_come_together_resume(numbers: tuple[signal.Signals, ...]) -> None:
    """The kernel gives both at once, the later one first: to go on is the safe result."""
    with child("pause") as process:
        for _ in range(20):
            send_together(process, *numbers)
            assert [line(process), line(process)] == ["paused\n", "resumed\n"]


def test_a_stop_among_others_stops() -> None:
    with child("pause") as process:
        send_together(process, PAUSE, signal.SIGTERM, RESUME)

        said = [line(process) for _ in range(4)]
        assert said == ["paused\n", "resumed\n", "asked on signals\n", "restored True True\n"]
        assert process.wait(10) == 0


def test_without_a_signal_nothing_is_called() -> None:
    code = (
        "from bridge.app.signals import on_stop\n"
        "with on_stop(lambda: print('called')):\n"
        "    pass\n"
        "print('end')"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert (ended.stdout, ended.returncode) == ("end\n", 0)
