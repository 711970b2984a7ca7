"""Two bridges of one name: one works, the other stands by, and they never work together."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path

from bridge.demo.servers.process import free_port, poll
from tests.support.delivery_cases import WITH_POSITION
from tests.support.fault_scenario import Bench

pytestmark = WITH_POSITION
FENCED = 76
AT_ONCE_SECONDS = 3.0
#: The default: shorter ones a busy machine can miss between two renewals.
LEASE_SECONDS = 10.0


def test_the_second_stands_by_and_takes_over_at_once_from_a_dead_first(bench: Bench) -> None:
    first = bench.bridge().start().wait_ready()
    second = bench.bridge().start().wait_unready(f"the bridge with process {first.pid}")
    with bench.load() as load:
        load.await_commits(200)
        assert first.kill() == -signal.SIGKILL
        killed = time.monotonic()
        second.wait_ready()
        took = time.monotonic() - killed
        load.await_commits(100)

    verdict = bench.finish(second)

    verdict.check(repeated_at_most=verdict.replay(first.deaths), at_least=300, saves_at_least=2)
    print(f"took over within {took:.2f} s")
    assert took < AT_ONCE_SECONDS


def test_a_first_that_stops_hands_over_without_repeating(bench: Bench) -> None:
    first = bench.bridge().start().wait_ready()
    second = bench.bridge().start().wait_unready("standby: ")
    with bench.load() as load:
        load.await_commits(200)
        assert first.terminate() == 0
        second.wait_ready(AT_ONCE_SECONDS)
        load.await_commits(100)

    bench.finish(second).check(repeated_at_most=0, at_least=300)
    assert bench.stored()["owner"] is None


def test_a_first_that_waits_for_kafka_longer_than_its_lease_stays_the_owner(bench: Bench) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "CHECKPOINT_LEASE_SECONDS": "3"}
    first = bench.bridge(**away).start()
    poll(lambda: first.said("first start"), "the checkpoint")
    began, epoch = time.monotonic(), bench.stored()["epoch"]
    bench.bridge(**away).start().wait_unready("standby: ")

    first.wait_unready("Kafka is out of reach")

    assert time.monotonic() - began > 3, "it waited no longer than its lease"
    assert bench.stored()["epoch"] == epoch, "the other one took over"
    assert first.terminate() == 0


def test_an_owner_on_another_host_is_given_its_lease(bench: Bench) -> None:
    first = bench.bridge().start().wait_ready()
    with bench.load() as load:
        load.await_commits(200)
        first.kill()
        bench.change_stored({"owner.host": "elsewhere", "renewed_at": datetime.now(UTC)})
        renewed = bench.stored()["renewed_at"].timestamp()
        second = bench.bridge(CHECKPOINT_LEASE_SECONDS=str(LEASE_SECONDS)).start()
        second.wait_unready("on elsewhere owns the checkpoint")
        second.wait_ready()
        waited = time.time() - renewed
        load.await_commits(100)

    verdict = bench.finish(second)

    verdict.check(repeated_at_most=verdict.replay(first.deaths), at_least=300, saves_at_least=2)
    assert waited > LEASE_SECONDS


def test_a_paused_first_that_was_replaced_stops_before_it_stores(bench: Bench) -> None:
    first = bench.bridge().start().wait_ready()
    second = (
        bench.bridge(CHECKPOINT_LEASE_SECONDS=str(LEASE_SECONDS)).start().wait_unready("standby: ")
    )
    with bench.load() as load:
        load.await_commits(200)
        first.pause()
        paused = time.time()
        second.wait_ready()
        load.await_commits(100)
        bench.await_arrival()
        epoch = bench.stored()["epoch"]
        replaced = len(bench.witness.saves)
        first.resume()
        assert first.wait() == FENCED
        load.await_commits(100)

    verdict = bench.finish(second)

    assert first.said("Another bridge took over")
    assert {save.epoch for save in bench.witness.saves[replaced:]} == {epoch}
    overlap = verdict.replay([paused]) + verdict.replay(first.deaths)
    verdict.check(repeated_at_most=overlap, at_least=400, saves_at_least=2)


def test_with_a_file_the_second_is_refused(bench: Bench, tmp_path: Path) -> None:
    file = {"CHECKPOINT_STORE": "file", "CHECKPOINT_FILE": str(tmp_path / "position.json")}
    first = bench.bridge(**file).start().wait_ready()
    second = bench.bridge(**file).start()
    assert second.wait() == FENCED
    with bench.load() as load:
        load.await_commits(200)
        first.kill()
        second.start().wait_ready()
        load.await_commits(100)

    verdict = bench.finish(second)

    verdict.check(repeated_at_most=verdict.replay(first.deaths), at_least=300, saves_at_least=0)
