"""All commands of a cursor use the same server while it is available."""

from pymongo.hello import Hello
from pymongo.server_description import ServerDescription

from bridge.mongo.client import SameServer


def mongos(port: int, round_trip_seconds: float) -> ServerDescription:
    """A mongos as the driver describes it."""
    return ServerDescription(
        ("mongos", port),
        Hello({"ok": 1, "msg": "isdbgrid", "maxWireVersion": 17}),
        round_trip_seconds,
    )


FAR, NEAR, NEARER = mongos(1, 0.3), mongos(2, 0.2), mongos(3, 0.1)


def test_the_nearest_server_is_chosen() -> None:
    assert SameServer()([FAR, NEARER, NEAR]) == [NEARER]


def test_the_choice_stays_when_another_becomes_nearer() -> None:
    choose = SameServer()
    assert choose([FAR, NEAR]) == [NEAR]
    assert choose([NEARER, mongos(2, 5.0), FAR]) == [NEAR]


def test_another_server_replaces_a_missing_one() -> None:
    choose = SameServer()
    choose([NEARER])
    assert choose([FAR, NEAR]) == [NEAR]
    assert choose([FAR, NEAR, NEARER]) == [NEAR]


def test_an_empty_list_does_not_change_the_choice() -> None:
    choose = SameServer()
    choose([NEAR])
    assert choose([]) == []
    assert choose([NEARER, NEAR]) == [NEAR]
