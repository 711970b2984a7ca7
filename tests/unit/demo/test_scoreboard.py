"""The demo's comparison of commits and messages."""

from bridge.demo.scoreboard import Scoreboard


def test_a_commit_that_has_not_arrived_is_missing() -> None:
    scoreboard = Scoreboard()
    for sequence in range(3):
        scoreboard.commit("job", sequence, f"t{sequence}")
    scoreboard.arrive("job", 0, "t0")

    tally = scoreboard.tally()

    assert (tally.jobs, tally.committed, tally.messages, tally.missing) == (1, 3, 1, 2)


def test_a_second_arrival_is_only_repeated() -> None:
    scoreboard = Scoreboard()
    assert scoreboard.arrive("job", 0, "t0")
    assert scoreboard.arrive("job", 1, "t1")
    assert not scoreboard.arrive("job", 0, "t0")

    tally = scoreboard.tally()

    assert (tally.messages, tally.repeated, tally.out_of_order) == (3, 1, 0)


def test_a_late_first_arrival_is_out_of_order() -> None:
    scoreboard = Scoreboard()
    scoreboard.arrive("job", 1, "t1")
    scoreboard.arrive("other", 0, "o0")
    scoreboard.arrive("job", 0, "t0")

    assert scoreboard.tally().out_of_order == 1
