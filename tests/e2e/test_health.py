"""Readiness while nothing happens: outages, a missing collection, documents that do not fit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.conftest import MakeBridge
from tests.support.bridge_process import BridgeProcess
from tests.support.job_writer import GOOD, JobWriter
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import Client, MongoDeployment
from tests.support.sinks_under_test import DRIVERS

#: The promise, and the allowance for a busy machine.
NOTICE_SECONDS, RETURN_SECONDS = 10.0, 1.0
SLACK_SECONDS = 2.0


@contextmanager
def frozen(mongo: MongoDeployment, kafka: Kafka) -> Iterator[None]:
    """Both servers keep their connections and answer nothing."""
    mongo.pause()
    kafka.pause()
    try:
        yield
    finally:
        kafka.resume()
        mongo.resume()


def test_an_idle_bridge_notices_outages(
    start: MakeBridge, mongo: MongoDeployment, kafka: Kafka, jobs: JobWriter, tmp_path: Path
) -> None:
    """No message waits and no checkpoint is stored: only the probes can know.

    The drivers share the outage.
    """
    bridges = [
        start(
            kafka__driver=driver,
            checkpoint__store="file",
            checkpoint__file=str(tmp_path / f"{driver}.json"),
        )
        for driver in DRIVERS
    ]
    with ExitStack() as stack:
        for bridge in bridges:
            stack.enter_context(bridge)
        for bridge in bridges:
            bridge.wait_ready()
            assert bridge.metric("job_bridge_kafka_up") == 1
        with frozen(mongo, kafka):
            noticed = time.monotonic()
            for bridge in bridges:
                _await_both(bridge)
            noticed = time.monotonic() - noticed
            downs = [_ups(bridge) for bridge in bridges]
            assert all(bridge.get("/livez")[0] == 200 for bridge in bridges)
        returned = time.monotonic()
        for bridge in bridges:
            bridge.wait_ready()
        returned = time.monotonic() - returned
        ups = [_ups(bridge) for bridge in bridges]

    assert noticed < NOTICE_SECONDS + SLACK_SECONDS
    assert returned < RETURN_SECONDS + SLACK_SECONDS
    assert downs == [(0.0, 0.0)] * len(bridges)
    assert ups == [(1.0, 1.0)] * len(bridges)


def _await_both(bridge: BridgeProcess) -> None:
    def both() -> bool:
        code, text = bridge.readiness() or (0, "")
        return code == 503 and "MongoDB" in text and "Kafka" in text

    bridge.wait_for(both, "both reasons")


def _ups(bridge: BridgeProcess) -> tuple[float, float]:
    return bridge.metric("job_bridge_kafka_up"), bridge.metric("job_bridge_mongodb_up")


def test_a_typo_is_noted_and_misfits_count(
    start: MakeBridge, client: Client, database: str
) -> None:
    """A collection that may come is no outage; documents that cannot be read are."""
    jobs = JobWriter(client[database]["jbos"])
    with start(mongo__collection="jbos") as bridge:
        bridge.wait_ready()
        code, text = bridge.get("/readyz")
        assert code == 200
        assert f"note: the collection {database}.jbos does not exist" in text
        assert bridge.metric("job_bridge_collection_exists") == 0
        assert "mongo.collection" in bridge.wait_for_line("does not exist")

        client[database]["jbos"].insert_one({"name": "odd"})
        reason = bridge.unready_reason("do not fit jobs.profile = cts", NOTICE_SECONDS)
        assert "the job id id is missing" in reason
        assert bridge.metric("job_bridge_collection_exists") == 1

        jobs.add_good()
        bridge.wait_ready().wait_acked(len(GOOD))
