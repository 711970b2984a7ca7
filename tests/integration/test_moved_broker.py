"""All brokers come back at the other address of ``kafka.bootstrap_servers`` (KIP-899)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bridge.app import wiring
from bridge.app.bridge import Bridge
from bridge.clock import SystemClock
from bridge.demo.servers.process import free_port, poll
from tests.support.factories import settings
from tests.support.job_writer import GOOD, JobWriter
from tests.support.messages import published_states
from tests.support.servers import kafka
from tests.support.servers.kafka import Kafka
from tests.support.servers.mongo import MongoDeployment

SECONDS = 90.0


class MovingKafka(Kafka):
    """A broker that starts again at another port."""

    def move(self, port: int) -> None:
        self.port = port
        self.bootstrap = f"127.0.0.1:{port}"
        self._write_settings()


def test_a_broker_that_moved_is_found_again(
    mongo: MongoDeployment, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both drivers; a client asks the brokers that it knows, which are all gone."""
    kafka.required()
    monkeypatch.setattr(wiring, "REPLACE_SECONDS", 3.0)
    new_port = free_port()
    with MovingKafka(tmp_path) as server, MongoClient[Any](mongo.uri) as client:
        servers = f"{server.bootstrap},127.0.0.1:{new_port}"
        bridges = {}
        for driver in ("kafka-python", "librdkafka"):
            server.create_topic(driver, partitions=1)
            server.create_topic(f"{driver}-dlq", partitions=1)
            chosen = settings(
                mongo__uri=mongo.uri,
                mongo__database=database,
                checkpoint__name=f"{database}-{driver}",
                kafka__bootstrap_servers=servers,
                kafka__topic=driver,
                kafka__driver=driver,
            )
            bridges[driver] = Bridge(chosen, SystemClock())
        threads = [threading.Thread(target=bridge.run) for bridge in bridges.values()]
        for thread in threads:
            thread.start()
        try:
            jobs = JobWriter(client[database]["jobs"])
            for bridge in bridges.values():
                poll(lambda bridge=bridge: bridge.looping, "ready", SECONDS)  # type: ignore[misc]
            written = [jobs.add_good()]
            await_acknowledged(bridges, len(GOOD))

            server.stop()
            server.move(new_port)
            written.append(jobs.add_good())
            server.start()
            await_acknowledged(bridges, 2 * len(GOOD))
        finally:
            for bridge in bridges.values():
                bridge.request_stop()
            for thread in threads:
                thread.join(SECONDS)
        assert bridges["kafka-python"].counters.clients_replaced > 0
        for driver in bridges:
            for job_id in written:
                assert published_states(server, driver, job_id) == list(GOOD)


def await_acknowledged(bridges: dict[str, Bridge], count: int) -> None:
    def acknowledged() -> bool:
        # A message that a replaced producer appended without an answer is left out afterwards.
        return all(
            bridge.counters.acked + bridge.counters.left_out >= count for bridge in bridges.values()
        )

    poll(acknowledged, f"{count} acknowledged messages", SECONDS)
