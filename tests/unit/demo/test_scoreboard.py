"""The demo's comparison of commits and messages."""

from bridge.demo.scoreboard import Scoreboard


def test_a_commit_that_has_not_arrived_is_missing() -> None:
    ledger = Scoreboard()
    for sequence in range(3):
        ledger.commit("job", sequence, f"t{sequence}")
    ledger.arrive("job", 0, "t0")

    tally = ledger.tally()

    assert (tally.jobs, tally.committed, tally.messages, tally.missing) == (1, 3, 1, 2)


def test_a_second_arrival_is_only_repeated() -> None:
    ledger = Scoreboard()
    assert ledger.arrive("job", 0, "t0")
    assert ledger.arrive("job", 1, "t1")
    assert not ledger.arrive("job", 0, "t0")

    tally = ledger.tally()

    assert (tally.messages, tally.repeated, tally.out_of_order) == (3, 1, 0)


def test_a_late_first_arrival_is_out_of_order() -> None:
    ledger = Scoreboard()
    ledger.arrive("job", 1, "t1")
    ledger.arrive("other", 0, "o0")
    ledger.arrive("job", 0, "t0")

    assert ledger.tally().out_of_order == 1
