"""A shard server that answers for itself: what can be tested of a sharded cluster without a mongos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.demo.servers.mongod import Mongod
from tests.e2e.faults.conftest import MakeBench
from tests.support.delivery_cases import ONE_WAY

pytestmark = ONE_WAY


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Mongod]:
    with Mongod(tmp_path / "mongod", arguments=("--shardsvr",)) as server:
        with server.client(
            0
        ) as client:  # one that belongs to no cluster keeps to the version before
            client.admin.command("setFeatureCompatibilityVersion", "6.0")
        yield server


def test_a_shard_server_is_read_as_a_replica_set_is(shard: Mongod, make_bench: MakeBench) -> None:
    bench = make_bench(shard)
    bridge = bench.bridge().start().wait_ready()
    with bench.load() as load:
        load.await_commits(200)
        bridge.kill()
        bridge.start().wait_ready()
        load.await_commits(100)

    verdict = bench.finish(bridge)

    verdict.check(repeated_at_most=verdict.replay(bridge.deaths), at_least=300, saves_at_least=2)
