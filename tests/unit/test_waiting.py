"""What goes on while something takes long."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from bridge.clock import SystemClock
from bridge.demo.process import poll
from bridge.errors import Fenced
from bridge.waiting import Stopped, Waiting

PATIENCE_SECONDS = 20.0


def nothing() -> None:
    pass


def test_the_checkpoint_is_kept_while_something_takes_long() -> None:
    kept = threading.Event()

    def takes_long() -> str:
        return "done" if kept.wait(PATIENCE_SECONDS) else "never kept"

    assert Waiting(threading.Event(), SystemClock(), kept.set).do(takes_long) == "done"


def test_it_is_kept_in_a_pause_too_and_a_stop_ends_both() -> None:
    stop, over = threading.Event(), threading.Event()
    waiting = Waiting(stop, SystemClock(), stop.set)

    waiting.wait(PATIENCE_SECONDS * 1000)
    with pytest.raises(Stopped):
        waiting.do(lambda: over.wait(PATIENCE_SECONDS))

    over.set()


def test_who_lost_the_checkpoint_waits_no_longer() -> None:
    over = threading.Event()

    def lost() -> None:
        raise Fenced("another owns it")

    with pytest.raises(Fenced):
        Waiting(threading.Event(), SystemClock(), lost).do(lambda: over.wait(PATIENCE_SECONDS))

    over.set()


def test_what_fails_is_gone_with_its_error() -> None:
    """Else a client that could not be opened stays, with its threads and sockets, until garbage is collected."""

    class Client:
        pass

    clients = []

    def fails() -> None:
        client = Client()
        clients.append(weakref.ref(client))
        raise KeyError("why")

    gc.disable()
    try:
        with suppress(KeyError):
            Waiting(threading.Event(), SystemClock(), nothing).do(fails)
        poll(lambda: clients[0]() is None, "the end of the thread", 5)
    finally:
        gc.enable()


def test_what_is_entered_is_left_with_the_stack_and_what_fails_says_so() -> None:
    left = []

    @contextmanager
    def part() -> Iterator[str]:
        yield threading.current_thread().name
        left.append(True)

    def fails() -> None:
        raise KeyError("why")

    waiting = Waiting(threading.Event(), SystemClock(), nothing)
    with ExitStack() as stack:
        assert waiting.enter(stack, part()) != threading.current_thread().name
        assert not left
    assert left
    with pytest.raises(KeyError, match="why"):
        waiting.do(fails)
