"""Two bridges of one name: one works, the other stands by, and they never work together."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path

from bridge.demo.servers.process import free_port, poll
from tests.support.delivery_case import (
    EVERY_MONGO_POSITION,
    EVERY_POSITION_MODE,
    ONE_DELIVERY,
)
from tests.support.fault_scenario import FaultScenario
from tests.support.read_back import topic_contents

FENCED = 76
#: Usually a second; below the lease, after which any owner is replaced.
AT_ONCE_SECONDS = 9.0
#: The default: shorter ones a busy machine can miss between two renewals.
LEASE_SECONDS = 10.0


@EVERY_POSITION_MODE
def test_a_standby_takes_over_from_a_dead_owner(
    scenario: FaultScenario,
) -> None:
    first = scenario.bridge().start().wait_ready()
    second = scenario.bridge().start().wait_unready(f"the bridge with process {first.pid}")
    with scenario.load() as load:
        load.await_commits(200)
        assert first.kill() == -signal.SIGKILL
        killed = time.monotonic()
        second.wait_ready()
        took = time.monotonic() - killed
        load.await_commits(100)

    verdict = scenario.finish(second)

    verdict.check(repeated_at_most=0, at_least=300, saves_at_least=2)
    print(f"took over within {took:.2f} s")
    assert took < AT_ONCE_SECONDS


@EVERY_MONGO_POSITION
def test_a_first_that_stops_hands_over_without_repeating(scenario: FaultScenario) -> None:
    first = scenario.bridge().start().wait_ready()
    second = scenario.bridge().start().wait_unready("standby: ")
    with scenario.load() as load:
        load.await_commits(200)
        assert first.stop() == 0
        second.wait_ready(AT_ONCE_SECONDS)
        load.await_commits(100)

    scenario.finish(second).check(repeated_at_most=0, at_least=300)
    assert scenario.checkpoint()["owner"] is None


@ONE_DELIVERY
def test_waiting_for_kafka_keeps_the_ownership(
    scenario: FaultScenario,
) -> None:
    """The wait is longer than the lease."""
    away = {"kafka.bootstrap_servers": f"127.0.0.1:{free_port()}", "checkpoint.lease_seconds": "3"}
    first = scenario.bridge(**away).start()
    poll(lambda: first.has_logged("first start"), "the checkpoint")
    began, epoch = time.monotonic(), scenario.checkpoint()["epoch"]
    scenario.bridge(**away).start().wait_unready("standby: ")

    first.wait_unready("Kafka refuses connections")

    assert time.monotonic() - began > 3, "it waited no longer than its lease"
    assert scenario.checkpoint()["epoch"] == epoch, "the other one took over"
    assert first.stop() == 0


@ONE_DELIVERY
def test_a_remote_owner_keeps_its_lease(scenario: FaultScenario) -> None:
    first = scenario.bridge().start().wait_ready()
    with scenario.load() as load:
        load.await_commits(200)
        first.kill()
        scenario.change_checkpoint({"owner.host": "elsewhere", "renewed_at": datetime.now(UTC)})
        renewed = scenario.checkpoint()["renewed_at"].timestamp()
        second = scenario.bridge(checkpoint__lease_seconds=str(LEASE_SECONDS)).start()
        second.wait_unready("on elsewhere owns the checkpoint")
        second.wait_ready()
        waited = time.time() - renewed
        load.await_commits(100)

    verdict = scenario.finish(second)

    verdict.check(repeated_at_most=0, at_least=300, saves_at_least=2)
    assert waited > LEASE_SECONDS


@EVERY_MONGO_POSITION
def test_a_replaced_owner_stops_before_it_stores(scenario: FaultScenario) -> None:
    first = scenario.bridge().start().wait_ready()
    second = (
        scenario.bridge(checkpoint__lease_seconds=str(LEASE_SECONDS))
        .start()
        .wait_unready("standby: ")
    )
    with scenario.load() as load:
        load.await_commits(200)
        first.pause()
        second.wait_ready()
        load.await_commits(100)
        scenario.wait_for_arrival()
        # The successor leaves out what the frozen process had sent.
        assert topic_contents(scenario).repeated == 0
        epoch, before = scenario.checkpoint()["epoch"], scenario.count()
        replaced = len(scenario.witness.saves)
        first.resume()
        assert first.wait() == FENCED
        late = scenario.count() - before
        load.await_commits(100)

    verdict = scenario.finish(second)

    assert first.has_logged("Another bridge took over")
    assert {save.epoch for save in scenario.witness.saves[replaced:]} == {epoch}
    # The frozen process may send what its client still held: only transactions prevent that.
    verdict.check(repeated_at_most=late, at_least=400, saves_at_least=2)


@ONE_DELIVERY
def test_with_a_file_the_second_is_refused(scenario: FaultScenario, tmp_path: Path) -> None:
    file = {"checkpoint.store": "file", "checkpoint.file": str(tmp_path / "position.json")}
    first = scenario.bridge(**file).start().wait_ready()
    second = scenario.bridge(**file).start()
    assert second.wait() == FENCED
    with scenario.load() as load:
        load.await_commits(200)
        first.kill()
        second.start().wait_ready()
        load.await_commits(100)

    verdict = scenario.finish(second)

    verdict.check(repeated_at_most=0, at_least=300, saves_at_least=0)
