"""The window: messages in flight, and the position of the settled prefix."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.window import Delivery, Window
from tests.support.factories import at, delivery

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(1, 50)),
        st.tuples(st.just("part"), st.integers(1, 50)),
        st.tuples(st.just("pass_by"), st.just(0)),
        st.tuples(st.just("settle"), st.integers(0, 200)),
        st.tuples(st.just("advance"), st.just(0)),
    ),
    max_size=80,
)


class Model:
    """The same by its definition: the last position with nothing unsettled at or before it."""

    def __init__(self) -> None:
        self.steps: list[tuple[int | None, Delivery | None]] = []

    def position(self) -> Any:
        reached = at(0)
        for number, admitted in self.steps:
            if admitted is not None and not admitted.settled:
                return reached
            reached = reached if number is None else at(number)
        return reached

    def unsettled(self) -> list[Delivery]:
        return [
            admitted for _, admitted in self.steps if admitted is not None and not admitted.settled
        ]


@given(OPERATIONS)
def test_any_interleaving_reaches_the_settled_prefix(
    operations: list[tuple[str, int]],
) -> None:
    window, model, number, before = Window(at(0), 10, 100), Model(), 0, at(0)
    for operation, value in operations:
        if operation in ("admit", "part"):
            number += 1
            admitted = delivery(number if operation == "admit" else None, value)
            window.admit(admitted)
            model.steps.append((number if operation == "admit" else None, admitted))
        elif operation == "pass_by":
            number += 1
            window.admit_position(at(number))
            model.steps.append((number, None))
        elif operation == "settle" and model.steps:
            chosen = model.steps[value % len(model.steps)][1]
            if chosen is not None:
                window.settle([chosen])
        if operation == "advance":
            assert window.advance() == model.position()
        unsettled = model.unsettled()
        assert before <= window.position <= model.position()
        assert window.count == len(unsettled)
        assert window.bytes == sum(admitted.size for admitted in unsettled)
        assert window.full == (window.count >= 10 or window.bytes >= 100)
        before = window.position
    assert window.advance() == model.position()
    assert bool(window) == bool(unsettled if operations else [])


def test_the_position_waits_for_the_oldest_message() -> None:
    window, first, second = Window(at(0), 9, 9), delivery(1), delivery(2)
    window.admit(first)
    window.admit(second)

    window.settle([second])
    assert window.advance() == at(0)

    window.settle([first])
    assert window.advance() == at(2)


def test_an_event_is_reached_with_its_last_message() -> None:
    window, first, second = Window(at(0), 9, 9), delivery(None), delivery(1)
    window.admit(first)
    window.admit(second)

    window.settle([first])
    assert window.advance() == at(0)

    window.settle([second])
    assert window.advance() == at(1)


def test_a_position_waits_for_messages_before_it() -> None:
    window, first = Window(at(0), 9, 9), delivery(1)
    window.admit(first)
    window.admit_position(at(2))
    assert window.advance() == at(0)

    window.settle([first])
    assert window.advance() == at(2)


def test_an_idle_window_moves_at_once() -> None:
    window = Window(at(0), 9, 9)

    window.admit_position(at(3))

    assert window.position == at(3)
    assert not window


def test_consecutive_positions_share_a_delivery() -> None:
    window = Window(at(0), 9, 9)
    window.admit(delivery(1))
    for number in range(2, 5000):
        window.admit_position(at(number))

    assert len(window._deliveries) == 2


def test_a_message_settled_twice_counts_once() -> None:
    window, first = Window(at(0), 9, 9), delivery(1)
    window.admit(first)
    window.admit(delivery(2))

    window.settle([first])
    window.settle([first])

    assert (window.count, window.bytes) == (1, 1)


def test_an_older_position_moves_nothing_back() -> None:
    window = Window(at(5), 9, 9)

    window.admit_position(at(3))

    assert window.advance() == at(5)


def test_the_window_fills_by_count_or_bytes() -> None:
    by_count, by_bytes = Window(at(0), 1, 100), Window(at(0), 100, 10)
    assert not by_count.full
    by_count.admit(delivery(1))
    by_bytes.admit(delivery(1, size=9))

    assert by_count.full
    assert not by_bytes.full
    by_bytes.admit(delivery(2, size=1))
    assert by_bytes.full


def test_the_oldest_message_in_flight_is_known() -> None:
    window = Window(at(0), 9, 9)
    assert window.oldest is None

    window.admit(Delivery(at(1), 1, sent=7.0))
    window.admit(Delivery(at(2), 1, sent=8.0))

    assert window.oldest == 7.0


def test_a_waiting_position_has_its_predecessors_age() -> None:
    window = Window(at(0), 9, 9)
    window.admit(Delivery(at(1), 1, sent=7.0))

    window.admit_position(at(2))

    # The web server may look in the moment it is the first.
    assert [admitted.sent for admitted in window._deliveries] == [7.0, 7.0]
