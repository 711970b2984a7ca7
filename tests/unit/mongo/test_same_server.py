"""All commands of a cursor go to one server, as long as it may be asked."""

from pymongo.hello import Hello
from pymongo.server_description import ServerDescription

from bridge.mongo.client import SameServer


def mongos(port: int, seconds_away: float) -> ServerDescription:
    """A router of a sharded cluster, as the driver knows it."""
    return ServerDescription(
        ("mongos", port), Hello({"ok": 1, "msg": "isdbgrid", "maxWireVersion": 17}), seconds_away
    )


FAR, NEAR, NEARER = mongos(1, 0.3), mongos(2, 0.2), mongos(3, 0.1)


def test_the_nearest_is_chosen_first() -> None:
    assert SameServer()([FAR, NEARER, NEAR]) == [NEARER]


def test_the_choice_stays_when_another_is_nearer_later() -> None:
    choose = SameServer()
    assert choose([FAR, NEAR]) == [NEAR]
    assert choose([NEARER, mongos(2, 5.0), FAR]) == [NEAR]


def test_another_is_chosen_and_kept_when_it_is_gone() -> None:
    choose = SameServer()
    choose([NEARER])
    assert choose([FAR, NEAR]) == [NEAR]
    assert choose([FAR, NEAR, NEARER]) == [NEAR]


def test_none_is_chosen_of_none_and_the_choice_stays() -> None:
    choose = SameServer()
    choose([NEAR])
    assert choose([]) == []
    assert choose([NEARER, NEAR]) == [NEAR]
