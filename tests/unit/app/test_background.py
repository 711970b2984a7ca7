"""Calls on threads of their own: meanwhile a stop is noticed and the checkpoint stays owned."""

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
from bridge.errors import Fenced, Retryable
from bridge.pipeline.ports import SlowCall
from bridge.pipeline.pulse import Pulse

PATIENCE_SECONDS = 20.0
T = TypeVar("T")


class SignallingKeeper:
    """Sets ``kept`` when the ownership is kept; raises ``error`` instead, where it is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.kept = threading.Event()
        self._error = error

    def keep(self) -> None:
        self.kept.set()
        if self._error is not None:
            raise self._error


class BackgroundScenario:
    def __init__(self, error: Exception | None = None) -> None:
        self.keeper = SignallingKeeper(error)
        self.pulse = Pulse(SystemClock(), self.keeper)
        self.background = Background(self.pulse)
        #: Ends the slow calls of a test.
        self.over = threading.Event()

    def slow(self) -> str:
        """Wait for ``over``."""
        return "done" if self.over.wait(PATIENCE_SECONDS) else "never"

    def until_kept(self) -> str:
        """Wait until the ownership was kept."""
        return "kept" if self.keeper.kept.wait(PATIENCE_SECONDS) else "never kept"

    def polled(self, poll_once: Callable[[], T | None]) -> T:
        """Poll after each wake, until there is a result."""
        while (result := poll_once()) is None:
            assert self.pulse.wake.wait(PATIENCE_SECONDS)
            self.pulse.wake.clear()
        return result

    def result(self, call: SlowCall[T]) -> T:
        return self.polled(call.poll)


@pytest.fixture
def scenario() -> Iterator[BackgroundScenario]:
    scenario = BackgroundScenario()
    yield scenario
    scenario.over.set()


def fail() -> None:
    raise KeyError("why")


def test_the_checkpoint_is_kept_during_a_call(scenario: BackgroundScenario) -> None:
    assert scenario.background.call(scenario.until_kept) == "kept"


def test_a_call_is_a_sign_of_life(scenario: BackgroundScenario) -> None:
    """A bridge that waits for MongoDB is alive."""
    before = scenario.pulse.last_beat

    scenario.background.call(scenario.until_kept)

    assert scenario.pulse.last_beat > before


def test_a_stop_ends_the_wait_for_a_call(scenario: BackgroundScenario) -> None:
    scenario.pulse.request_stop()

    with pytest.raises(Stopped):
        scenario.background.call(scenario.slow)


def test_a_lost_ownership_ends_the_wait() -> None:
    scenario = BackgroundScenario(Fenced("another owns it"))

    with pytest.raises(Fenced):
        scenario.background.call(scenario.slow)

    scenario.over.set()


def test_an_unreachable_store_does_not_end_the_wait() -> None:
    """The lease may outlast the outage."""
    scenario = BackgroundScenario(Retryable("the store is unreachable"))

    assert scenario.background.call(scenario.until_kept) == "kept"


def test_a_failed_call_leaves_no_object() -> None:
    """Else a client that could not be opened keeps its threads and sockets until a collection."""

    class UnopenedClient:
        pass

    clients = []

    def fail_with_client() -> None:
        client = UnopenedClient()
        clients.append(weakref.ref(client))
        raise KeyError("why")

    gc.disable()
    try:
        with suppress(KeyError):
            BackgroundScenario().background.call(fail_with_client)
        poll(lambda: clients[0]() is None, "the end of the thread", 5)
    finally:
        gc.enable()


def test_a_call_raises_its_error(scenario: BackgroundScenario) -> None:
    with pytest.raises(KeyError, match="why"):
        scenario.background.call(fail)


def test_an_entered_manager_is_left_with_the_stack(scenario: BackgroundScenario) -> None:
    left = []

    @contextmanager
    def manager() -> Iterator[str]:
        yield threading.current_thread().name
        left.append(True)

    with ExitStack() as stack:
        entered_on = scenario.background.enter(stack, manager())
        assert entered_on != threading.current_thread().name
        assert not left
    assert left


def test_a_later_call_starts_at_its_first_poll(scenario: BackgroundScenario) -> None:
    started = threading.Event()

    def start() -> str:
        started.set()
        return "done"

    call = scenario.background.deferred(start)
    assert not started.wait(0.05)

    assert scenario.result(call) == "done"


def test_a_later_call_wakes_when_done(scenario: BackgroundScenario) -> None:
    call = scenario.background.deferred(scenario.slow)

    assert call.poll() is None
    assert call.poll() is None
    assert not scenario.pulse.wake.is_set()
    scenario.over.set()
    assert scenario.pulse.wake.wait(PATIENCE_SECONDS)

    assert call.poll() == "done"


def test_a_later_call_raises_where_it_is_polled(scenario: BackgroundScenario) -> None:
    call = scenario.background.deferred(fail)

    with pytest.raises(KeyError, match="why"):
        scenario.polled(call.poll)


def test_a_reader_returns_parts_in_order(scenario: BackgroundScenario) -> None:
    reader = scenario.background.reader(iter(range(5)))

    parts = []
    while not reader.ended:
        parts.append(scenario.polled(lambda: reader.poll(2)))

    assert parts == [[0, 1], [2, 3], [4]]


def test_a_reader_ends_with_an_empty_part(scenario: BackgroundScenario) -> None:
    """The number of items is a multiple of the part's: only an empty part shows the end."""
    reader = scenario.background.reader(iter(range(4)))

    parts = []
    while not reader.ended:
        parts.append(scenario.polled(lambda: reader.poll(2)))

    assert parts == [[0, 1], [2, 3], []]


def test_a_reader_reads_while_it_is_polled(scenario: BackgroundScenario) -> None:
    def items() -> Iterator[str]:
        yield scenario.slow()

    reader = scenario.background.reader(items())

    assert reader.poll(10) is None
    assert not reader.ended
    scenario.over.set()
    assert scenario.polled(lambda: reader.poll(10)) == ["done"]
    assert reader.ended


def test_a_reader_raises_the_error_of_its_source(scenario: BackgroundScenario) -> None:
    def items() -> Iterator[int]:
        yield 1
        fail()

    reader = scenario.background.reader(items())

    assert scenario.polled(lambda: reader.poll(1)) == [1]
    with pytest.raises(KeyError, match="why"):
        scenario.polled(lambda: reader.poll(1))
    assert not reader.ended


def test_finish_waits_for_an_abandoned_call(scenario: BackgroundScenario) -> None:
    """Else each session that fails would leave another query of hours to MongoDB."""
    ended = []
    call = scenario.background.deferred(lambda: ended.append(scenario.until_kept()))
    assert call.poll() is None

    scenario.background.finish()

    assert ended == ["kept"]


def test_a_stop_ignores_an_abandoned_call(scenario: BackgroundScenario) -> None:
    call = scenario.background.deferred(scenario.slow)
    assert call.poll() is None
    scenario.pulse.request_stop()

    scenario.background.finish()

    assert not scenario.over.is_set()


def test_finish_without_a_call_returns_at_once(scenario: BackgroundScenario) -> None:
    scenario.background.finish()

    assert not scenario.keeper.kept.is_set()
