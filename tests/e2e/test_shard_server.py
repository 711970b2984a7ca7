"""A shard server on its own: the part of a sharded cluster that needs no mongos."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import MakeScenario, StartMongo
from tests.support.delivery_case import ONE_DELIVERY
from tests.support.servers.mongo import MongoDeployment

pytestmark = ONE_DELIVERY


@pytest.fixture
def shard(start_mongo: StartMongo) -> MongoDeployment:
    server = start_mongo(arguments=("--shardsvr",))
    with server.client(0) as client:  # one that belongs to no cluster keeps to the version before
        client.admin.command("setFeatureCompatibilityVersion", "6.0")
    return server


def test_a_shard_server_works_like_a_replica_set(
    shard: MongoDeployment, make_scenario: MakeScenario
) -> None:
    scenario = make_scenario(shard)
    bridge = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(200)
        bridge.kill()
        bridge.start().wait_ready()
        load.await_commits(100)

    scenario.finish(bridge).check(repeated_at_most=0, at_least=300, saves_at_least=2)
