"""Signals, sent to a process of its own: the first asks, the second ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHILD = """
import signal, sys, threading
from bridge.app.signals import on_stop

asked = threading.Event()
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "nohup" else signal.SIG_DFL)  # whatever these tests run under

def callback():
    print("asked on", threading.current_thread().name, flush=True)
    asked.set()

with on_stop(callback):
    print("ready", flush=True)
    asked.wait()
    if sys.argv[1] == "hang":
        print("hanging", flush=True)
        threading.Event().wait()
print("restored", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.getsignal(signal.SIGINT) == before, flush=True)
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
def test_the_first_signal_calls_back_on_a_thread_of_its_own(number: signal.Signals) -> None:
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
def test_the_second_signal_kills_whichever_it_is(
    first: signal.Signals, second: signal.Signals
) -> None:
    with child("hang") as process:
        process.send_signal(first)
        assert line(process) == "asked on signals\n"
        assert line(process) == "hanging\n"

        process.send_signal(second)

        assert process.wait(10) == -second


def test_a_hangup_that_is_to_be_ignored_is_ignored() -> None:
    with child("nohup") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)

        assert line(process) == "asked on signals\n"
        assert line(process) == "restored True True\n"
        assert process.wait(10) == 0


def test_without_a_signal_nothing_is_called_and_all_is_as_before() -> None:
    code = "from bridge.app.signals import on_stop\nwith on_stop(lambda: print('called')):\n    pass\nprint('end')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert (ended.stdout, ended.returncode) == ("end\n", 0)
