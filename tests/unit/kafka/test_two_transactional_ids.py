"""Two transactional ids in turn are as safe as a single id, by a model of all interleavings.

The model has the rules of Kafka's coordinator: opening a producer of an id fences the former
producer of that id, and ends its open transaction. Processes open both ids, read the position,
and then send, each transaction with the position after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest

#: Steps of a process until it has made two transactions.
STEPS = 8


@dataclass
class Coordinator:
    """The owner of each id, and what is committed: the messages, in the order of their commits."""

    owners: dict[int, object] = field(default_factory=dict)
    open: dict[int, list[int]] = field(default_factory=dict)
    committed: list[int] = field(default_factory=list)

    def init(self, number: int, process: object) -> None:
        self.owners[number] = process
        self.open.pop(number, None)

    def commit(self, number: int, process: object) -> bool:
        if self.owners.get(number) is not process or number not in self.open:
            return False
        self.committed += self.open.pop(number)
        return True

    def send(self, number: int, process: object, message: int) -> bool:
        if self.owners.get(number) is not process:
            return False
        self.open[number] = [message]
        return True


class Process:
    """Opens the ids, reads the position, and sends; after an error it is discarded."""

    def __init__(self, coordinator: Coordinator, order: tuple[int, int]) -> None:
        self._coordinator = coordinator
        self._order = order
        self._step = 0
        self._position = 0
        self._failed = False

    def step(self) -> None:
        number, self._step = self._step, self._step + 1
        if self._failed:
            return
        if number < 2:
            self._coordinator.init(number, self)
        elif number == 2:
            self._position = len(self._coordinator.committed)
        else:
            self._transaction(number - 3)

    def _transaction(self, number: int) -> None:
        transactional_id = self._order[number // 2 % 2]
        if number % 2 == 0:
            done = self._coordinator.send(transactional_id, self, self._position)
        else:
            done = self._coordinator.commit(transactional_id, self)
            self._position += 1
        self._failed = not done


def outcomes(order: tuple[int, int]) -> list[list[int]]:
    """Return what is committed in each interleaving of two processes."""
    found = []
    for schedule in product((0, 1), repeat=2 * STEPS):
        if sum(schedule) != STEPS:
            continue
        coordinator = Coordinator()
        processes = [Process(coordinator, order) for _ in range(2)]
        for number in schedule:
            processes[number].step()
        found.append(coordinator.committed)
    return found


def test_no_interleaving_commits_a_message_twice() -> None:
    found = outcomes((0, 1))

    assert all(committed == list(range(len(committed))) for committed in found)
    assert any(len(committed) >= 4 for committed in found)


@pytest.mark.parametrize("order", [(1, 0)])
def test_the_first_transaction_must_use_the_first_id(order: tuple[int, int]) -> None:
    """The model finds the fault: a process that is fenced from the first id would not notice."""
    assert any(len(committed) != len(set(committed)) for committed in outcomes(order))
