"""The demo's comparison of commits and messages."""

from bridge.demo.scoreboard import Scoreboard


def committed(*trans_ids: str) -> Scoreboard:
    scoreboard = Scoreboard()
    for sequence, trans_id in enumerate(trans_ids):
        scoreboard.commit("job", sequence, trans_id)
    return scoreboard


def test_a_commit_that_has_not_arrived_is_missing() -> None:
    scoreboard = committed("t0", "t1", "t2")
    scoreboard.arrive("job", "t0")

    tally = scoreboard.tally()

    assert (tally.jobs, tally.committed, tally.messages, tally.missing) == (1, 3, 1, 2)


def test_a_second_arrival_is_only_repeated() -> None:
    scoreboard = committed("t0", "t1")
    assert scoreboard.arrive("job", "t0") == 0
    assert scoreboard.arrive("job", "t1") == 1
    assert scoreboard.arrive("job", "t0") is None

    tally = scoreboard.tally()

    assert (tally.messages, tally.repeated, tally.out_of_order) == (3, 1, 0)


def test_a_late_first_arrival_is_out_of_order() -> None:
    scoreboard = committed("t0", "t1", "t2")
    scoreboard.commit("other", 0, "o0")
    for job_id, trans_id in (("job", "t1"), ("job", "t2"), ("other", "o0"), ("job", "t0")):
        scoreboard.arrive(job_id, trans_id)

    assert scoreboard.tally().out_of_order == 1


def test_an_arrival_may_precede_its_commit() -> None:
    """The stream delivers a transition before the service knows of its majority."""
    scoreboard = Scoreboard()
    for trans_id in ("t1", "t0"):
        scoreboard.arrive("job", trans_id)
    scoreboard.commit("job", 0, "t0")
    scoreboard.commit("job", 1, "t1")

    tally = scoreboard.tally()

    assert (tally.missing, tally.out_of_order) == (0, 1)
