"""What goes on while something takes long."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

import pytest

from bridge.app.background import Background, Stopped
from bridge.clock import SystemClock
from bridge.demo.servers.process import poll
from bridge.errors import Fenced

PATIENCE_SECONDS = 20.0
Found = TypeVar("Found")


def nothing() -> None:
    pass


def test_the_checkpoint_is_kept_while_something_takes_long() -> None:
    kept = threading.Event()

    def takes_long() -> str:
        return "done" if kept.wait(PATIENCE_SECONDS) else "never kept"

    assert (
        Background(threading.Event(), threading.Event(), SystemClock(), kept.set).do(takes_long)
        == "done"
    )


def test_it_is_kept_in_a_pause_too_and_a_stop_ends_both() -> None:
    stop, over = threading.Event(), threading.Event()
    waiting = Background(stop, threading.Event(), SystemClock(), stop.set)

    waiting.wait(PATIENCE_SECONDS * 1000)
    with pytest.raises(Stopped):
        waiting.do(lambda: over.wait(PATIENCE_SECONDS))

    over.set()


def test_who_lost_the_checkpoint_waits_no_longer() -> None:
    over = threading.Event()

    def lost() -> None:
        raise Fenced("another owns it")

    with pytest.raises(Fenced):
        Background(threading.Event(), threading.Event(), SystemClock(), lost).do(
            lambda: over.wait(PATIENCE_SECONDS)
        )

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
            Background(threading.Event(), threading.Event(), SystemClock(), nothing).do(fails)
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

    waiting = Background(threading.Event(), threading.Event(), SystemClock(), nothing)
    with ExitStack() as stack:
        assert waiting.enter(stack, part()) != threading.current_thread().name
        assert not left
    assert left
    with pytest.raises(KeyError, match="why"):
        waiting.do(fails)


def given(found: Callable[[], Found | None], wake: threading.Event) -> Found:
    """What comes later, once it is there."""
    while (one := found()) is None:
        assert wake.wait(PATIENCE_SECONDS)
        wake.clear()
    return one


def test_what_comes_later_wakes_who_goes_on_meanwhile() -> None:
    wake, over = threading.Event(), threading.Event()
    found = Background(threading.Event(), wake, SystemClock(), nothing).later(
        lambda: "done" if over.wait(PATIENCE_SECONDS) else "never"
    )

    assert found() is None
    assert found() is None
    over.set()
    assert wake.wait(PATIENCE_SECONDS)

    assert found() == "done"


def test_what_fails_later_says_so_where_it_is_asked_for() -> None:
    def fails() -> None:
        raise KeyError("why")

    wake = threading.Event()
    found = Background(threading.Event(), wake, SystemClock(), nothing).later(fails)
    with pytest.raises(KeyError, match="why"):
        given(found, wake)


def test_parts_are_taken_one_after_the_other_to_the_end() -> None:
    wake = threading.Event()
    more = Background(threading.Event(), wake, SystemClock(), nothing).taking(iter(range(5)))

    assert [given(lambda: more(2), wake) for _ in range(4)] == [[0, 1], [2, 3], [4], []]


def test_what_nobody_asks_for_any_more_is_waited_for_with_the_checkpoint_kept() -> None:
    """Else each run that fails would leave one more query of hours to MongoDB."""
    kept, ended = threading.Event(), []
    waiting = Background(threading.Event(), threading.Event(), SystemClock(), kept.set)
    found = waiting.later(lambda: ended.append(kept.wait(PATIENCE_SECONDS)))
    assert found() is None

    waiting.finish()

    assert ended == [True]


def test_a_stop_does_not_wait_for_it() -> None:
    stop, over = threading.Event(), threading.Event()
    waiting = Background(stop, threading.Event(), SystemClock(), stop.set)
    found = waiting.later(lambda: over.wait(PATIENCE_SECONDS * 1000))
    assert found() is None

    waiting.finish()

    assert not over.is_set()
    over.set()
